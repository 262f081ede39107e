"""People, families and what they wrote, made through the program, so that requests meet something. All are invented."""

import json
import subprocess
import urllib.error
import urllib.request

PASSWORD = "seven grey geese"
# What everybody here is called, so that who looks for a family by this finds some.
PERSON = {
    "user_name": "김순자",
    "birth_date": {"year": 1945, "month": 3, "day": 1},
    "gender": "female",
    "address": "경기도 수원시",
}


def call(server, method, path, body=None, token=None):
    """A request as a usual client sends it: its status and its JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server + path, data, {"content-type": "application/json"}, method=method)
    if token:
        request.add_header("cookie", f"session_id={token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def must(server, method, path, body=None, token=None):
    status, answer = call(server, method, path, body, token)
    if status not in (200, 201):
        raise RuntimeError(f"{method} {path}: {status} {answer}")
    return answer.get("result")


def sign_in(server, email):
    """A session's token, or None if the account is gone or has another password."""
    status, answer = call(server, "POST", "/auth/login", {"email": email, "password": PASSWORD})
    return answer["result"]["session_id"] if status == 200 else None


def operator(carebot, database, email):
    """An operator, made at the command line, as the first one always is."""
    command = [carebot, "account", "create", "--email", email, "--role", "system", "--password-stdin"]
    command += ["--database", database]
    subprocess.run(command, input=PASSWORD + "\n", text=True, check=True, stdout=subprocess.PIPE)


def account(server, email, role):
    return must(server, "POST", "/accounts", {"email": email, "password": PASSWORD, "role": role, **PERSON})["id"]


def household(server, name):
    """An elder with a family, a guardian, somebody who asks to join, an elder without a family, and a little of everything:
    their ids."""
    emails = {who: f"{name}-{who}@example.com" for who in ("elder", "guardian", "asker", "other")}
    roles = {"elder": "main", "guardian": "sub", "asker": "sub", "other": "main"}
    ids = {who: account(server, email, roles[who]) for who, email in emails.items()}
    tokens = {who: sign_in(server, emails[who]) for who in ("elder", "guardian", "asker")}
    elder, guardian = ids["elder"], ids["guardian"]

    def post(who, path, body):
        return must(server, "POST", path, body, tokens[who])

    family = post("elder", "/families", {"main_user": elder, "family_name": "순자네"})["id"]
    members = []
    for who in ("guardian", "asker"):
        members.append(post(who, "/members", {"family_id": family, "user_id": ids[who], "nickname": "막내"})["id"])
    must(server, "PATCH", f"/v1/members/requests/{members[0]}", None, tokens["elder"])
    for kind, fields in [
        ("home", {"temperature": 21.5, "others": "창문 열림"}),
        ("health", {"heart_rate": 72}),
        ("active", {"score": 3, "action": "산책", "is_critical": False}),
    ]:
        post("elder", f"/status/{kind}", {"family_id": family, **fields})
    post("guardian", "/messages/send", {"from_id": guardian, "to_id": elder, "content": "점심 드셨어요?"})
    post("elder", "/messages/send", {"from_id": elder, "to_id": guardian, "content": "먹었다"})
    lists = [must(server, "GET", path, None, tokens["elder"]) for path in ("/messages/all", "/messages/sent")]
    return {
        "emails": list(emails.values()),
        "tokens": list(tokens.values()),
        "accounts": list(ids.values()),
        "families": [family],
        "members": members,
        "messages": [message["index"] for messages in lists for message in messages],
        "notifications": [post("elder", "/notify", {"family_id": family, "notification_grade": "warn"})["index"]],
        "images": [post("guardian", "/tools/background", {"family_id": family, "image_url": "a.png"})["index"]],
    }
