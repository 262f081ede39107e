"""Walks through the pages in a real browser and says what is wrong with them. Called by `run`."""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import os

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

import home

# A machine that is busy is slow; what never comes is missed all the same.
expect.set_options(timeout=30_000)

WIDTHS = (360, 1280)
LANGUAGES = ("ko", "en")
# What a page may weigh, in bytes over the wire: the first with everything it loads, each after it.
FIRST, LATER = 100_000, 20_000
# And how many requests each may take.
FIRST_REQUESTS, LATER_REQUESTS = 8, 3
# So many homes has a care worker who has many.
HOMES = 200
# The least height and width of what is pressed, in pixels (WCAG 2.2, 2.5.8, wants 24; a thumb wants more).
THUMB = 40
# What the browser does with its push service, which lasts over a page; a key that is none is refused as it would be.
PUSH = """
    const kept = {
        get endpoint() { return JSON.parse(sessionStorage.push).endpoint; },
        toJSON: () => JSON.parse(sessionStorage.push),
        unsubscribe: async () => { sessionStorage.removeItem('push'); return true; },
    };
    const text = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    Notification.requestPermission = async () => 'granted';
    Object.defineProperty(Notification, 'permission', { get: () => 'granted' });
    PushManager.prototype.getSubscription = async () => sessionStorage.push ? kept : null;
    PushManager.prototype.subscribe = async (options) => {
        if (!options.userVisibleOnly || options.applicationServerKey.length !== 65) throw new DOMException('a wrong key', 'InvalidAccessError');
        const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, ['deriveBits']);
        const keys = { p256dh: text(await crypto.subtle.exportKey('raw', pair.publicKey)), auth: text(crypto.getRandomValues(new Uint8Array(16))) };
        sessionStorage.push = JSON.stringify({ endpoint: `https://push.example.net/${crypto.randomUUID()}`, keys });
        return kept;
    };
"""
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
SMALL = """least => [...document.querySelectorAll('button, .button, nav a, summary, select, input:not([type=hidden])')]
    .filter(one => one.checkVisibility() && !one.matches('[type=checkbox], [type=radio]'))
    .map(one => [one.getBoundingClientRect(), one.textContent.trim() || one.name || one.tagName])
    .filter(([box]) => box.width > 0 && (box.height < least || box.width < 24))
    .map(([box, text]) => `${text} (${Math.round(box.width)}x${Math.round(box.height)})`)"""


def pages(who):
    """The pages of each kind of visitor: a name and a path."""
    family = f"/app/families/{who['family']}"
    of_family = [
        ("home", family),
        ("alarms", f"{family}/alarms"),
        ("rules", f"{family}/rules"),
        ("trends-day", f"{family}/trends"),
        ("trends-week", f"{family}/trends?span=week"),
        ("trends-year", f"{family}/trends?span=year"),
        ("sheet", f"{family}/sheet"),
        ("messages", f"{family}/messages"),
        ("notifications", f"{family}/notifications"),
        ("album", f"{family}/album"),
        ("people", f"{family}/people"),
        ("settings", f"{family}/settings"),
        ("account", "/app/account"),
    ]
    return {
        None: [("sign-in", "/app/sign-in"), ("sign-up", "/app/sign-up"), ("forgotten", "/app/forgotten"), ("offline", "/app/offline")],
        "guardian": [*of_family, ("board", "/app/board")],
        "elder": of_family,
        "worker": [("board", "/app/board"), ("home", family)],
        "stranger": [("welcome", "/app/welcome")],
        "operator": [("operator", "/app/operator"), ("account", "/app/account")],
    }


class Server:
    """A running server with a database of its own."""

    def __init__(self, carebot, folder):
        self.carebot = shutil.copy(carebot, folder / "carebot")
        self.database = f"sqlite:{folder / 'browser.db'}"
        self.log = folder / "log"
        settings = ["mode=development", "metrics.listen=off", "throttle.address_failures=1000000"]
        command = [self.carebot, "serve", "--listen", "127.0.0.1:0", "--create", "--database", self.database]
        command += [part for setting in settings for part in ("--set", setting)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CAREBOT_", "DB_"))}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True
        )
        line = self.process.stdout.readline()
        if " listens on " not in line:
            raise SystemExit(f"the server did not start:\n{self.log.read_text()}")
        self.url = line.split()[-1].rstrip("/")


class Walk:
    def __init__(self, browser, server, who, shots):
        self.browser, self.server, self.who, self.shots = browser, server, who, shots
        self.axe, self.wrong, self.seen = Axe(), [], 0

    def blame(self, where, what):
        self.wrong.append(f"{where}: {what}")
        print("WRONG", where, what, flush=True)

    def context(self, name, language="ko", width=1280, **more):
        """A browser of its own, signed in as somebody."""
        locale = {"ko": "ko-KR", "en": "en-GB"}[language]
        context = self.browser.new_context(
            viewport={"width": width, "height": 800}, locale=locale, timezone_id="Asia/Seoul", **more
        )
        if name:
            token = self.who[name]["token"]
            context.add_cookies([{"name": "session_id", "value": token, "url": self.server.url, "httpOnly": True}])
        return context

    def page(self, context, where):
        page = context.new_page()
        page.on("pageerror", lambda error: self.blame(where(), f"script: {error}"))

        def console(message):
            if message.type in ("error", "warning"):
                self.blame(where(), f"console: {message.text}")

        page.on("console", console)
        return page

    def walk(self, name, some, language, width):
        """Every page of somebody, in a language, at a width."""
        context = self.context(name, language, width)
        now = ["?"]
        page = self.page(context, lambda: now[0])
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        sizes, kinds = [], {}
        wire.on("Network.requestWillBeSent", lambda event: kinds.update({event["requestId"]: event.get("type")}))
        wire.on("Network.loadingFinished", lambda event: sizes.append((kinds.get(event["requestId"]), event["encodedDataLength"])))
        for index, (title, path) in enumerate(some):
            now[0] = f"{title} {name or 'nobody'} {language} {width}"
            sizes.clear()
            answer = page.goto(self.server.url + path, wait_until="load")
            page.wait_for_function("document.fonts.ready.then(() => true)")
            first = len(sizes)
            self.seen += 1
            page.screenshot(path=self.shots / f"{title}-{name or 'nobody'}-{language}-{width}.png", full_page=True)
            if answer.status != 200:
                self.blame(now[0], f"status {answer.status}")
                continue
            # Pictures that come into sight count; that a page which stays open looks again does not.
            loaded = [size for at, (kind, size) in enumerate(sizes) if at < first or kind != "Fetch"]
            weight, most = sum(loaded), FIRST if index == 0 else LATER
            if weight > most:
                self.blame(now[0], f"{weight:.0f} bytes, {most} are allowed")
            # What the browser still has costs nothing, and the stream of events stays open.
            asked = [size for size in loaded if size > 0]
            if len(asked) > (FIRST_REQUESTS if index == 0 else LATER_REQUESTS):
                self.blame(now[0], f"{len(asked)} requests")
            if page.get_attribute("html", "lang") != language:
                self.blame(now[0], "in another language")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                self.blame(now[0], f"{wide} pixels wider than the screen")
            small = page.evaluate(SMALL, THUMB)
            if small:
                self.blame(now[0], f"too small for a thumb: {', '.join(small[:5])}")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found = self.axe.run(page, options=RULES)
                for violation in found.response["violations"]:
                    nodes = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
                    self.blame(now[0], f"{scheme}: {violation['id']}: {violation['help']}: {nodes}")
            page.emulate_media(color_scheme="light")
        context.close()

    def form_walk(self):
        """Sign up, sign in and sign out by keyboard alone."""
        home.live(self.server.url, self.who)
        context = self.context(None)
        page = self.page(context, lambda: "sign-in by keyboard")
        page.goto(f"{self.server.url}/app/")
        expect(page.get_by_label("이메일")).to_be_focused()
        page.keyboard.type(self.who["guardian"]["email"])
        page.keyboard.press("Tab")
        page.keyboard.type(home.PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/app/families/{self.who['family']}")
        expect(page.locator("#glance")).to_contain_text("괜찮으세요")
        page.get_by_role("button", name="English").press("Enter")
        expect(page.locator("#glance")).to_contain_text("is all right")
        page.get_by_role("button", name="Sign out").press("Enter")
        page.wait_for_url("**/app/sign-in")
        page.goto(f"{self.server.url}/app/families/{self.who['family']}")
        if "/app/sign-in" not in page.url:
            self.blame("sign-out", "the family's page is still shown")
        context.close()

    def live_walk(self):
        """A fall on two screens, acknowledged on one; a connection that goes and comes."""
        home.live(self.server.url, self.who)
        place = f"{self.server.url}/app/families/{self.who['family']}"
        contexts = [self.context("guardian"), self.context("second", width=360)]
        # The connection is cut on purpose: what the browser writes of that is no fault.
        screens = [context.new_page() for context in contexts]
        for screen in screens:
            screen.goto(place)
            expect(screen.locator("#glance")).to_contain_text("괜찮으세요")
        # A machine that is busy may be late once; a page that nobody tells looks once a minute, every time.
        for _ in range(3):
            raised, gone = self.fall(screens)
            print(f"a fall was on both screens after {raised:.2f} s, its acknowledgement on the other after {gone:.2f} s")
            if gone <= 2 and raised <= 2:
                break
        else:
            self.blame("live", f"a fall took {raised:.2f} s, its acknowledgement {gone:.2f} s; 2 are allowed")
        screens[0].wait_for_function("navigator.serviceWorker.ready.then(() => true)")
        contexts[0].set_offline(True)
        expect(screens[0].locator("#link")).to_be_visible()
        screens[0].goto(place)
        expect(screens[0].locator("h1")).to_have_text("연결이 없습니다")
        screens[0].screenshot(path=self.shots / "live-offline-1280.png")
        contexts[0].set_offline(False)
        screens[0].goto(place)
        expect(screens[0].locator("#open .alarm.crit")).to_be_visible()
        screens[0].locator("#open .alarm.crit h3 a").first.click()
        screens[0].wait_for_load_state("load")
        screens[0].screenshot(path=self.shots / "alarm-guardian-ko-1280.png", full_page=True)
        expect(screens[0].locator("main")).to_contain_text("확인")
        for context in contexts:
            context.close()

    def fall(self, screens):
        """A fall, acknowledged on the second screen: after how many seconds both showed it, and the first that it is seen to."""
        needs = [screen.locator("#open .alarm.crit").get_by_role("button", name="확인") for screen in screens]
        started = time.monotonic()
        home.fall(self.server.url, self.who)
        for need in needs:
            expect(need).to_be_visible()
        raised = time.monotonic() - started
        screens[0].screenshot(path=self.shots / "live-fall-1280.png", full_page=True)
        screens[1].screenshot(path=self.shots / "live-fall-360.png", full_page=True)
        started = time.monotonic()
        needs[1].click()
        expect(needs[0]).to_have_count(0)
        return raised, time.monotonic() - started

    def linked_walk(self):
        """The districts follow the province; a message and a reading come in while one looks; one sheet is one page."""
        context = self.context("guardian")
        page = self.page(context, lambda: "linked")
        page.goto(f"{self.server.url}/app/account")
        page.get_by_label("시도").select_option("제주특별자치도")
        expect(page.get_by_label("시군구").locator("option")).to_have_count(3)
        page.get_by_label("시군구").select_option("서귀포시")
        page.locator("#address").get_by_role("button", name="저장").click()
        expect(page.locator("#address")).to_contain_text("제주특별자치도 서귀포시")
        family = f"{self.server.url}/app/families/{self.who['family']}"
        page.goto(f"{family}/messages?with={self.who['elder']['id']}")
        body = {"from_id": self.who["elder"]["id"], "to_id": self.who["guardian"]["id"], "content": "지금 뭐 하니?"}
        home.people.must(self.server.url, "POST", "/messages/send", body, self.who["elder"]["token"])
        expect(page.locator("main")).to_contain_text("지금 뭐 하니?")
        page.get_by_label("보낼 말").fill("일하고 있어요.")
        page.get_by_role("button", name="보내기").click()
        expect(page.get_by_role("status").first).to_contain_text("보냈습니다.")
        expect(page.locator("main")).not_to_contain_text("로봇이 읽어 드림")
        new = home.people.must(self.server.url, "GET", "/messages/new?order=desc", None, self.who["elder"]["token"])
        spoken = f"/v1/messages/{new[0]['index']}/spoken"
        home.people.must(self.server.url, "POST", spoken, None, self.who["elder"]["token"])
        expect(page.locator("main")).to_contain_text("로봇이 읽어 드림")
        page.goto(family)
        report = {"family_id": self.who["family"], "heart_rate": 87}
        home.people.must(self.server.url, "POST", "/status/health", report, self.who["elder"]["token"])
        expect(page.locator("#readings")).to_contain_text("87")
        later = self.page(context, lambda: "after minutes")
        later.clock.install()
        for place in (family, f"{family}/trends"):
            later.goto(place)
            later.clock.fast_forward("04:00")
            later.clock.run_for(1000)
            expect(later.locator("#link")).to_be_hidden()
        later.close()
        page.goto(f"{family}/sheet")
        sheet = self.shots / "sheet.pdf"
        page.pdf(path=sheet, prefer_css_page_size=True)
        leaves = len(re.findall(rb"/Type\s*/Page\b", sheet.read_bytes()))
        if leaves != 1:
            self.blame("sheet", f"{leaves} pages of paper")
        context.close()

    def push_walk(self):
        """Notifications of this device are turned on and off. No push service can be reached from here: its part in the browser is played."""
        context = self.context("guardian")
        context.add_init_script(PUSH)
        page = self.page(context, lambda: "push")
        page.goto(f"{self.server.url}/app/account")
        place = "JSON.parse(sessionStorage.push ?? '{}').endpoint"
        device = page.locator("form[action*='/devices/']")
        page.get_by_role("button", name="이 기기에서 알림 받기").press("Enter")
        expect(page.get_by_role("button", name="이 기기에서 그만 받기")).to_be_visible()
        # The push service ends it, or puts another in its place: the next page, whichever it is, has the notices go on.
        for change in ("sessionStorage.removeItem('push')", "sessionStorage.push = sessionStorage.push.replace('example', 'other.example')"):
            before = (page.evaluate(place), device.get_attribute("action"))
            page.evaluate(change)
            page.goto(f"{self.server.url}/app/")
            # A function: the pages forbid that text is made one again for each look.
            page.wait_for_function(f"() => !['{before[0]}', undefined].includes({place}) && localStorage['carebot-push-place'] === {place}")
            page.goto(f"{self.server.url}/app/account")
            expect(page.get_by_role("button", name="이 기기에서 그만 받기")).to_be_visible()
            expect(device).to_have_count(1)
            if device.get_attribute("action") == before[1]:
                self.blame("push", f"after {change} the server has the old place")
        # Whoever else is signed in here meanwhile is subscribed to nothing.
        page.evaluate("sessionStorage.removeItem('push')")
        for name, button in (("second", "알림 받기"), ("guardian", "그만 받기")):
            context.add_cookies([{"name": "session_id", "value": self.who[name]["token"], "url": self.server.url, "httpOnly": True}])
            page.goto(f"{self.server.url}/app/account")
            expect(page.get_by_role("button", name=f"이 기기에서 {button}")).to_be_visible()
            if (page.evaluate(place) is None) != (name == "second"):
                self.blame("push", f"notices of {name}")
        page.get_by_role("button", name="이 기기에서 그만 받기").press("Enter")
        expect(page.get_by_role("button", name="이 기기에서 알림 받기")).to_be_visible()
        expect(device).to_have_count(0)
        for name, other, count in (("이 기기에서 알림 받기", "이 기기에서 그만 받기", 1), ("이 기기에서 그만 받기", "이 기기에서 알림 받기", 0)):
            page.get_by_role("button", name=name).press("Enter")
            expect(page.get_by_role("button", name=other)).to_be_visible()
            expect(page.locator("form[action*='/devices/']")).to_have_count(count)
        context.close()
        # Who signs out takes the notices along; whoever has the device next finds them off.
        context = self.context(None)
        context.add_init_script(PUSH)
        page = self.page(context, lambda: "push and sign-out")
        for count in (1, 0):
            page.goto(f"{self.server.url}/app/sign-in?next=/app/account")
            page.get_by_label("이메일").fill(self.who["guardian"]["email"])
            page.get_by_label("비밀번호").fill(home.PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url("**/app/account")
            on = page.get_by_role("button", name="이 기기에서 알림 받기")
            expect(on).to_be_visible()
            expect(page.locator("form[action*='/devices/']")).to_have_count(0)
            if count:
                on.press("Enter")
                expect(page.get_by_role("button", name="이 기기에서 그만 받기")).to_be_visible()
                expect(page.locator("form[action*='/devices/']")).to_have_count(1)
            page.get_by_role("button", name="로그아웃", exact=True).press("Enter")
            page.wait_for_url("**/app/sign-in")
        context.close()

    def elder_walk(self):
        """She calls for help with the keyboard; her page shows it, and offers her nothing that others have to do."""
        context = self.context("elder", width=360)
        page = self.page(context, lambda: "call for help")
        page.goto(f"{self.server.url}/app/families/{self.who['family']}")
        page.locator("summary", has_text="도움 요청하기").press("Enter")
        page.locator("form[action$='/call']").get_by_role("button").press("Enter")
        page.wait_for_url("**/alarms/*")
        page.screenshot(path=self.shots / "call-elder-ko-360.png", full_page=True)
        page.goto(f"{self.server.url}/app/families/{self.who['family']}")
        expect(page.locator("#open .alarm.crit")).to_be_visible()
        expect(page.get_by_role("button", name="확인")).to_have_count(0)
        page.screenshot(path=self.shots / "home-called-elder-ko-360.png", full_page=True)
        context.close()
        context = self.context("second")
        page = self.page(context, lambda: "the call is over")
        page.goto(f"{self.server.url}/app/families/{self.who['family']}")
        page.get_by_role("link", name="끝났음").press("Enter")
        page.get_by_role("button", name="끝났습니다").press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("알람을 끝냈습니다.")
        context.close()

    def many_walk(self):
        """Two hundred homes, with the keyboard alone; somebody falls in the last of them."""
        home.street(self.server.url, self.who, HOMES)
        context = self.context("many")
        page = self.page(context, lambda: "many homes")
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        sizes = []
        wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        started = time.monotonic()
        page.goto(f"{self.server.url}/app/board", wait_until="load")
        print(f"{HOMES} homes: {sum(sizes):.0f} bytes, shown after {time.monotonic() - started:.2f} s")
        if sum(sizes) > FIRST:
            self.blame("many homes", f"{sum(sizes):.0f} bytes, {FIRST} are allowed")
        expect(page.locator("#homes tr")).to_have_count(HOMES)
        page.screenshot(path=self.shots / "board-many-ko-1280.png")
        concerned = page.locator("#homes tr.crit")
        expect(concerned).to_have_count(HOMES // 20)
        if page.locator("#homes tr").first.get_attribute("class") != "crit":
            self.blame("many homes", "who needs somebody does not come first")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        expect(page.locator("#homes tr").first.locator("th a")).to_be_focused()
        page.keyboard.press("Tab")
        page.locator("#homes tr").first.get_by_role("button").press("Enter")
        expect(concerned).to_have_count(HOMES // 20 - 1)
        page.keyboard.press("/")
        page.keyboard.type(f"이웃{HOMES - 1}")
        page.keyboard.press("Enter")
        expect(page.locator("#homes tr")).to_have_count(1)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator("#glance")).to_be_visible()
        for found in self.axe.run(page, options=RULES).response["violations"]:
            self.blame("many homes", found["help"])
        context.close()

    def foreign_walk(self):
        """A stranger sees nothing of the family."""
        context = self.context("stranger")
        page = context.new_page()
        for _, path in pages(self.who)["guardian"]:
            if self.who["family"] not in path:
                continue
            answer = page.goto(self.server.url + path)
            if answer.status not in (403, 404) or "말순" in page.content():
                self.blame(f"stranger {path}", f"status {answer.status}")
        context.close()


def pictures(walk, folder):
    """The pictures of the README, from the same invented home and some of its neighbours."""
    folder.mkdir(parents=True, exist_ok=True)
    home.street(walk.server.url, walk.who, 24)
    place = f"{walk.server.url}/app/families/{walk.who['family']}"

    def shoot(title, name, path, width):
        context = walk.context(name, "ko", width, device_scale_factor=2 if width < 600 else 1)
        page = context.new_page()
        page.goto(path)
        page.screenshot(path=folder / f"{title}.png")
        context.close()

    shoot("home-phone", "guardian", place, 360)
    shoot("trends", "guardian", f"{place}/trends?span=week", 1280)
    shoot("messages-phone", "guardian", f"{place}/messages?with={walk.who['elder']['id']}", 360)
    shoot("people", "elder", f"{place}/people", 1280)
    shoot("board", "many", f"{walk.server.url}/app/board", 1280)
    home.fall(walk.server.url, walk.who)
    shoot("alarm-phone", "guardian", place, 360)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--carebot", required=True)
    parser.add_argument("--shots", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--pictures", type=pathlib.Path)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    shots = arguments.shots.resolve()
    shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="carebot-browser-") as folder, sync_playwright() as playwright:
        server = Server(arguments.carebot, pathlib.Path(folder))
        try:
            who = home.build(server.url, server.carebot, server.database)
            # Without a sandbox only because containers and root have none; nothing foreign is opened.
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            walk = Walk(browser, server, who, shots)
            for name, some in pages(who).items():
                some = [page for page in some if arguments.only in page[0]]
                for language in LANGUAGES:
                    for width in WIDTHS:
                        if some:
                            walk.walk(name, some, language, width)
            if arguments.pictures:
                pictures(walk, arguments.pictures)
            elif not arguments.only:
                for some in (walk.form_walk, walk.linked_walk, walk.push_walk, walk.elder_walk, walk.foreign_walk, walk.live_walk, walk.many_walk):
                    some()
            browser.close()
        finally:
            server.process.terminate()
            server.process.wait(30)
    print(f"{walk.seen} pages were looked at; screenshots are in {arguments.shots}")
    for line in walk.wrong:
        print(line, file=sys.stderr)
    sys.exit(1 if walk.wrong else 0)


if __name__ == "__main__":
    main()
