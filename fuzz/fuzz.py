"""Starts a server, fills it, has schemathesis send it what its OpenAPI document allows and what it does not, and looks at
whether it survived. Called by `run`."""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import people

HERE = pathlib.Path(__file__).resolve().parent
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# These need a service that is not there yet, and say so with the failure that the contract has for it.
WITHOUT_PROVIDER = "^/chats$|^(/v1)?/status/mental(-reports)?/(new/)?\\\\{family_id\\\\}$|^/status/(keywords|psychology)/|^/tools/weather/"
SETTINGS = [
    "mode=development",
    "metrics.listen=off",
    # Whoever guesses passwords at random is slowed down, and would find out about nothing else.
    "throttle.account_failures=1000000",
    "throttle.address_failures=1000000",
]


class Server:
    """A running server with a database of its own."""

    def __init__(self, carebot, database, folder):
        # What was built may be built anew meanwhile.
        self.carebot = shutil.copy(carebot, folder / "carebot")
        self.database = database or f"sqlite:{folder / 'fuzz.db'}"
        self.log = folder / "log"
        settings = [part for setting in SETTINGS for part in ("--set", setting)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CAREBOT_", "DB_"))}
        command = [self.carebot, "serve", "--listen", "127.0.0.1:0", "--create", "--database", self.database, *settings]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True
        )
        line = self.process.stdout.readline()
        if " listens on " not in line:
            raise SystemExit(f"the server did not start:\n{self.log.read_text()}")
        self.url = line.split()[-1]

    def end(self):
        """Stops it; what is wrong with how it fared, in words."""
        wrong = []
        if self.process.poll() is not None:
            wrong.append(f"the server ended by itself: {self.process.returncode}")
        else:
            status, _ = people.call(self.url, "GET", "/readyz")
            if status != 200:
                wrong.append(f"/readyz answers {status}")
            self.process.terminate()
            if self.process.wait(60) != 0:
                wrong.append(f"the server ended with {self.process.returncode}")
        # A failure that the contract has is no secret; one with something inside is a fault.
        faults = re.compile("panicked|request failed .* inside=")
        wrong += [line for line in self.log.read_text(errors="replace").splitlines() if faults.search(line)][:20]
        return wrong


def fill(server, caller, households):
    """People whose families, messages and so on are there: ids by what they are of. The caller's own come first."""
    people.operator(server.carebot, server.database, f"{caller}-operator@example.com")
    ids = {}
    for number in range(households):
        for name, values in people.household(server.url, f"{caller}-{number}").items():
            ids.setdefault(name, []).extend(values)
    return ids


def configuration(ids, caller):
    """The settings of schemathesis: what is there in half of the places that ask for it, a right password now and then."""
    values = dict(ids)
    if caller == "elder":
        # Who has a family asks for it more often than for others'.
        households = len(ids["families"])
        values = {name: some + some[: len(some) // households] * households for name, some in ids.items()}
    birth = people.PERSON["birth_date"]
    values |= {
        "passwords": [people.PASSWORD],
        "new_emails": [f"new-{number}@example.com" for number in range(200)],
        "roles": ["main", "sub", "MAIN", "system", "test"],
        "genders": ["female", "FEMALE", "male", "other"],
        "grades": ["info", "warn", "crit", "none", "INFO"],
        "names": [people.PERSON["user_name"]],
        "addresses": [people.PERSON["address"], "경기 수원시"],
        "years": [birth["year"]],
        "months": [birth["month"]],
        "days": [birth["day"]],
        "regions": ["경기", "서울특별시", "충"],
        "dates": ["2020-01-01", "2026-01-01T00:00:00", "0"],
    }
    places = {
        "families": ["path.family_id", "query.familyId", "body.family_id"],
        "accounts": ["path.user_id", "query.userId"]
        + [f"body.{name}" for name in ("user_id", "from_id", "to_id", "main_user", "id")],
        "members": ["path.member_id"],
        "messages": ["path.message_id", "body.index_list[*]"],
        "notifications": ["path.notification_id"],
        "images": ["path.image_id"],
        "emails": ["body.email"],
        "tokens": ["body.session_id"],
        "roles": ["body.role"],
        "genders": ["body.gender"],
        "grades": ["body.notification_grade"],
        "names": ["body.user_name"],
        "addresses": ["body.address"],
        "years": ["body.birth_date.year"],
        "months": ["body.birth_date.month"],
        "days": ["body.birth_date.day"],
        "regions": ["path.master_region"],
        "dates": ["query.start", "query.when"],
    }
    # Rarely, because it deletes what others are to find.
    rare = {"passwords": ["body.password", "body.current_password"]}
    lines = [f"hooks = {json.dumps(str(HERE / 'hooks.py'))}", "[generation]", "with-security-parameters = false"]
    for name, some in values.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(some, ensure_ascii=False)}"]
    lines += bindings("parameters", places, 0.5) + bindings("parameters", rare, 0.05)
    lines += ["[[operations]]", f'include-path-regex = "{WITHOUT_PROVIDER}"']
    lines += ['checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 500]']
    lines += ["[[operations]]", 'include-name = "POST /accounts"']
    lines += bindings("operations.parameters", {"new_emails": ["body.email"], "passwords": ["body.password"]}, 0.8)
    return "\n".join(lines) + "\n"


def bindings(table, places, probability):
    lines = []
    for name, some in places.items():
        for place in some:
            lines += [f'[{table}."{place}"]', f'dictionary = "{name}"', f"probability = {probability}"]
    return lines


def fuzz(carebot, database, caller, households, seconds, seed):
    """Fuzzes a server of its own in the name of a caller; whether that found nothing."""
    with tempfile.TemporaryDirectory(prefix="carebot-fuzz-") as folder:
        folder = pathlib.Path(folder)
        server = Server(carebot, database, folder)
        try:
            config = folder / "schemathesis.toml"
            config.write_text(configuration(fill(server, caller, households), caller))
            print(f"== {caller}, {seconds} s, seed {seed}", flush=True)
            clean = schemathesis(server, config, caller, seconds, seed, folder)
            wrong = server.end()
        finally:
            server.process.kill()
        if wrong or not clean:
            kept = pathlib.Path(tempfile.mkdtemp(prefix="carebot-fuzz-log-")) / "log"
            shutil.copy(server.log, kept)
            print(*wrong, f"the server's log: {kept}", sep="\n")
        return clean and not wrong


def schemathesis(server, config, caller, seconds, seed, folder):
    email = {"operator": f"{caller}-operator", "elder": f"{caller}-0-elder", "anonymous": ""}[caller] + "@example.com"
    environment = os.environ | {
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FUZZ_SERVER": server.url,
        "FUZZ_CALLER": caller,
        "FUZZ_EMAIL": email,
        "FUZZ_CAREBOT": server.carebot,
        "FUZZ_DATABASE": server.database,
    }
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    command = [program, "--no-color", "--config-file", config, "run", f"{server.url}/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--max-time", str(seconds), "--seed", str(seed)]
    command += ["--continue-on-failure", "--warnings", "off", "--request-timeout", "30"]
    return subprocess.run(command, cwd=folder, env=environment).returncode == 0


def main():
    parser = argparse.ArgumentParser(prog="fuzz/run", description="Fuzzes a server of its own; see fuzz/README.md.")
    parser.add_argument("--carebot", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--minutes", type=float, default=10, help="how long for each kind of caller (10)")
    parser.add_argument("--short", action="store_true", help="about a minute in all, and always the same seed")
    parser.add_argument("--caller", choices=["operator", "elder", "anonymous"], action="append", help="only this one")
    parser.add_argument("--seed", type=int, help="what a run was told to have, to have it again")
    parser.add_argument("--database", help="URL of an EMPTY database instead of a SQLite file of its own")
    arguments = parser.parse_args()
    callers = arguments.caller or ["operator", "elder", "anonymous"]
    households, seconds = (3, 20) if arguments.short else (12, max(1, round(arguments.minutes * 60)))
    seed = arguments.seed if arguments.seed is not None else 1 if arguments.short else int.from_bytes(os.urandom(4))

    how = (households, seconds, seed)
    found = [caller for caller in callers if not fuzz(arguments.carebot, arguments.database, caller, *how)]
    if found:
        raise SystemExit(f"fuzzing found something as {', '.join(found)} (seed {seed})")
    print(f"fuzzing found nothing (seed {seed})")


if __name__ == "__main__":
    main()
