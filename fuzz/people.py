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


def lonely(server, name):
    """An elder without a family and a guardian without anybody: the ids."""
    roles = {f"{name}-{role}@example.com": role for role in ("main", "sub")}
    return {"emails": list(roles), "accounts": [account(server, email, role) for email, role in roles.items()]}


def household(server, name):
    """An elder with a family, a guardian, and a little of everything: their ids."""
    elder_email, guardian_email = f"{name}-elder@example.com", f"{name}-guardian@example.com"
    elder, guardian = account(server, elder_email, "main"), account(server, guardian_email, "sub")
    robot, browser = sign_in(server, elder_email), sign_in(server, guardian_email)
    family = must(server, "POST", "/families", {"main_user": elder, "family_name": "순자네"}, robot)["id"]
    member = must(server, "POST", "/members", {"family_id": family, "user_id": guardian, "nickname": "막내"}, browser)["id"]
    for kind, fields in [
        ("home", {"temperature": 21.5, "others": "창문 열림"}),
        ("health", {"heart_rate": 72}),
        ("active", {"score": 3, "action": "산책", "is_critical": False}),
    ]:
        must(server, "POST", f"/status/{kind}", {"family_id": family, **fields}, robot)
    must(server, "POST", "/messages/send", {"from_id": guardian, "to_id": elder, "content": "점심 드셨어요?"}, browser)
    must(server, "POST", "/messages/send", {"from_id": elder, "to_id": guardian, "content": "먹었다"}, robot)
    notification = must(server, "POST", "/notify", {"family_id": family, "notification_grade": "warn"}, robot)["index"]
    image = must(server, "POST", "/tools/background", {"family_id": family, "image_url": "a.png"}, browser)["index"]
    messages = [row["index"] for path in ("/messages/all", "/messages/sent") for row in must(server, "GET", path, None, robot)]
    return {
        "emails": [elder_email, guardian_email],
        "accounts": [elder, guardian],
        "families": [family],
        "members": [member],
        "messages": messages,
        "notifications": [notification],
        "images": [image],
    }
