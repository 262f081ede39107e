"""An invented family with six days behind it: as long back as a robot may report. Nobody here exists."""

import concurrent.futures
import datetime
import math
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fuzz"))
import people  # noqa: E402

PASSWORD = people.PASSWORD
DAYS = 6


def account(server, name, role, user_name):
    email = f"{name}@example.org"
    details = {**people.PERSON, "user_name": user_name}
    made = people.must(server, "POST", "/accounts", {"email": email, "password": PASSWORD, "role": role, **details})
    return {"email": email, "id": made["id"], "token": people.sign_in(server, email)}


def ndjson(server, token, lines):
    """Reports as a robot sends what it kept while it was offline."""
    for start in range(0, len(lines), 1000):
        answer = people.must(server, "POST", "/v1/status/batch", lines[start : start + 1000], token)
        refused = [item for item in answer["items"] if item["status"] == "refused"]
        if refused:
            raise RuntimeError(f"a report was refused: {refused[0]}")


def build(server, carebot, database):
    """Who there is and what happened; ids and tokens by name."""
    people.operator(carebot, database, "operator@example.org")
    who = {
        "elder": account(server, "elder", "main", "김말순"),
        "guardian": account(server, "daughter", "sub", "김하늘"),
        "second": account(server, "son", "sub", "김바다"),
        "worker": account(server, "nurse", "sub", "박돌봄"),
        "many": account(server, "nurse2", "sub", "이돌봄"),
        "stranger": account(server, "stranger", "sub", "최남남"),
        "operator": {"email": "operator@example.org", "token": people.sign_in(server, "operator@example.org")},
    }
    elder = who["elder"]
    family = people.must(server, "POST", "/families", {"main_user": elder["id"], "family_name": "말순 할머니 댁"}, elder["token"])["id"]
    who["family"] = family
    for name, nickname in (("guardian", "큰딸"), ("second", "막내"), ("worker", "돌봄 선생님")):
        body = {"family_id": family, "user_id": who[name]["id"], "nickname": nickname}
        member = people.must(server, "POST", "/members", body, who[name]["token"])["id"]
        people.must(server, "PATCH", f"/v1/members/requests/{member}", None, elder["token"])
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)
    lines = []
    step = datetime.timedelta(minutes=15)
    count = int(DAYS * 24 * 60 / 15) - 2
    for index in range(count):
        at = now - step * (count - index)
        # The robot was being charged elsewhere: a gap.
        if 300 <= index < 320:
            continue
        hour = (at.hour + 9) % 24 + at.minute / 60
        wave = math.sin((hour - 9) / 24 * 2 * math.pi)
        common = {"family_id": family, "sensed_at": at.isoformat()}
        home = {
            "temperature": round(22.5 + 1.8 * wave, 1),
            "humidity": round(45 - 6 * wave, 1),
            "dust_level": round(22 + 12 * abs(wave) + index % 7, 1),
            "ethanol": round(0.1 + 0.05 * (index % 5), 2),
        }
        lines.append({"kind": "home", "key": f"h{index}", **common, **home})
        lines.append({"kind": "health", "key": f"p{index}", **common, "heart_rate": round(70 + 8 * wave + index % 4)})
        if index % 6 == 0 and 7 <= hour < 22:
            action = ("산책", "독서", "점심 식사", "화초 돌보기", "전화 통화")[index // 6 % 5]
            lines.append({"kind": "active", "key": f"a{index}", **common, "score": 60 + index % 30, "action": action, "is_critical": False})
    ndjson(server, elder["token"], lines)
    for text, writer, reader in (
        ("점심 드셨어요?", "guardian", "elder"),
        ("먹었다. 된장찌개 맛있더라.", "elder", "guardian"),
        ("주말에 갈게요. 필요한 것 있으세요?", "guardian", "elder"),
    ):
        body = {"from_id": who[writer]["id"], "to_id": who[reader]["id"], "content": text}
        people.must(server, "POST", "/messages/send", body, who[writer]["token"])
    people.must(server, "POST", "/notify", {"family_id": family, "notification_grade": "warn", "descriptions": "약 드실 시간이 지났습니다."}, elder["token"])
    live(server, who)
    return who


def live(server, who):
    """The robot reports as it does every few seconds."""
    family, token = who["family"], who["elder"]["token"]
    for kind, fields in (
        ("home", {"temperature": 22.4, "humidity": 44.0, "dust_level": 24.0, "ethanol": 0.2}),
        ("health", {"heart_rate": 72}),
        ("active", {"score": 74, "action": "텔레비전 시청", "is_critical": False}),
    ):
        people.must(server, "POST", f"/status/{kind}", {"family_id": family, **fields}, token)


def street(server, who, count):
    """So many more homes of which a care worker takes care; in every twentieth somebody falls."""
    operator, worker = who["operator"]["token"], who["many"]["id"]

    def home(number):
        elder = account(server, f"elder{number}", "main", f"이웃{number}")
        family = people.must(server, "POST", "/families", {"main_user": elder["id"], "family_name": f"{number}호"}, operator)["id"]
        body = {"family_id": family, "user_id": worker, "nickname": "돌봄 선생님"}
        people.must(server, "POST", "/members", body, operator)
        live(server, {"family": family, "elder": elder})
        if number % 20 == 0:
            fall(server, {"family": family, "elder": elder})

    with concurrent.futures.ThreadPoolExecutor(4) as some:
        for done in [some.submit(home, number) for number in range(count)]:
            done.result()


def fall(server, who):
    """She falls."""
    body = {"family_id": who["family"], "score": 5, "action": "낙상", "is_critical": True}
    people.must(server, "POST", "/status/active", body, who["elder"]["token"])
