"""Who calls: loaded by schemathesis in its own process, told by the environment."""

import itertools
import os

import schemathesis

import people

SERVER = os.environ["FUZZ_SERVER"]
CALLER = os.environ["FUZZ_CALLER"]
NEW = itertools.count()


class Caller:
    """Keeps a session alive. What is fuzzed can sign the caller out, change the password or delete the account: then
    somebody else takes the place."""

    def __init__(self):
        self.email = os.environ["FUZZ_EMAIL"]

    def get(self, case, context):
        token = people.sign_in(SERVER, self.email)
        while token is None:
            self.email = f"{CALLER}-again-{next(NEW)}@example.com"
            if CALLER == "operator":
                people.operator(os.environ["FUZZ_CAREBOT"], os.environ["FUZZ_DATABASE"], self.email)
            else:
                elder = people.account(SERVER, self.email, "main")
                token = people.sign_in(SERVER, self.email)
                people.must(SERVER, "POST", "/families", {"main_user": elder}, token)
            token = people.sign_in(SERVER, self.email)
        return token

    def set(self, case, token, context):
        case.cookies = {**(case.cookies or {}), "session_id": token}


if CALLER != "anonymous":
    schemathesis.auth(refresh_interval=3)(Caller)
