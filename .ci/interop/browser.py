"""The dashboard in a real browser: `browser.py BROKER_BINARY PORT`.

Chromium of the system, without a window. What is waited for is a state of the page; a time is only
the longest that it may take.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import urllib.request

from playwright.sync_api import sync_playwright

from support import Broker, Raw, arguments, expect, expect_equal, run_checks

BINARY, PORT = arguments()
MONITOR = PORT + 1
WEBSOCKET = PORT + 2
URL = f"http://127.0.0.1:{MONITOR}/"
# Longest time until the page shows something, in milliseconds: several rounds of its questions.
SHOWN_MS = 20_000
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


class Watch:
    """What a page must not do, written down while it is open."""

    def __init__(self, page):
        self.complaints = []
        self.elsewhere = []
        self.asked = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.on("request", self._request)

    def _request(self, request):
        self.asked.append(request.url)
        if not request.url.startswith((URL, "data:")):
            self.elsewhere.append(request.url)

    def expect_quiet(self):
        expect_equal(self.elsewhere, [], "requests to elsewhere")
        expect_equal(self.complaints, [], "complaints in the console")


@contextlib.contextmanager
def page_of(browser, scheme="light", size=DESK):
    context = browser.new_context(color_scheme=scheme, viewport=size)
    context.set_default_timeout(SHOWN_MS)
    page = context.new_page()
    watch = Watch(page)
    page.goto(URL)
    shown(page, "state", "Running")
    try:
        yield page, watch
    finally:
        context.close()


def broker(port=PORT):
    return Broker(BINARY, port, ["-m", str(MONITOR)])


def shown(page, element, text):
    page.wait_for_function(
        "([id, text]) => document.getElementById(id).textContent.includes(text)", arg=[element, text]
    )


def until(page, condition):
    """A function and no expression: the page forbids scripts to be made from text."""
    page.wait_for_function(f"() => {condition}")


def names(page):
    return page.locator("#c-rows button").all_text_contents()


def named(count):
    return [Raw(PORT, {"name": f"client-{number:03}", "lang": "test"}) for number in range(count)]


class Load:
    """One client that publishes to a subject and another that gets it, until told to stop."""

    def __init__(self, subject="load.a"):
        self.stop = threading.Event()
        self.subscriber = Raw(PORT, {"name": "load-subscriber"})
        self.subscriber.send(f"SUB {subject} 1\r\n".encode())
        self.publisher = Raw(PORT, {"name": "load-publisher"})
        self.burst = f"PUB {subject} 5\r\nhello\r\n".encode() * 100
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.stop.is_set():
            self.publisher.send(self.burst)
            self.publisher.ping()
            self.subscriber.ping()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.publisher.close()
        self.subscriber.close()


def numbers_rise_under_load_and_a_line_is_drawn(browser):
    with broker(), page_of(browser) as (page, watch):
        zero = "document.querySelector('#c-messages b').textContent === '0'"
        until(page, zero)
        with Load():
            until(page, "parseFloat(document.querySelector('#c-messages b').textContent) > 0")
            until(page, "/L/.test(document.querySelector('#c-messages path.second').getAttribute('d'))")
            page.locator("#connections").scroll_into_view_if_needed()
            until(page, "/\\d\\/s/.test(document.getElementById('c-rows').textContent)")
        # And fall when it is over.
        until(page, zero)
        watch.expect_quiet()


def came_with_the_page():
    """What midge wrote into the page, so that it shows something before its first question."""
    page = urllib.request.urlopen(URL).read().decode()
    return json.loads(re.search(r'<script type="application/json" id="first">(.*?)</script>', page, re.DOTALL).group(1))


def what_is_known_is_shown_before_anything_is_asked(browser):
    with broker(), Load():
        # Some seconds of traffic are kept before anybody looks.
        while len(came_with_the_page()["history"]) < 4:
            threading.Event().wait(0.2)
        context = browser.new_context(viewport=DESK)
        page = context.new_page()
        # Nothing that is asked is answered.
        page.route("**/*z*", lambda route: route.abort())
        page.goto(URL)
        until(page, "document.getElementById('t-connections').textContent === '2'")
        until(page, "/L/.test(document.querySelector('#c-messages path.first').getAttribute('d'))")
        until(page, "/L/.test(document.querySelector('#c-bytes path.second').getAttribute('d'))")
        context.close()


def those_who_have_caught_up_are_one_line(browser):
    with broker(), page_of(browser) as (page, watch):
        shown(page, "slow-none", "No client has been behind")
        slowz = {"num_slow": 1, "total": 4, "slow": [
            {"cid": 1, "ip": "::1", "port": 1, "name": name, "state": state, "since": since, "until": since,
             "pending_bytes": 9, "pending_bytes_peak": 9, "waits": 1, "subject": "bulk"} | {"cid": cid}
            for cid, name, state, since in (
                (1, "early", "caught up", "2026-01-01T00:00:00Z"), (2, "late", "behind", "2026-01-01T00:00:00Z"),
                (1, "early", "caught up", "2026-01-01T00:00:00Z"), (2, "late", "caught up", "2026-01-01T00:00:00Z"))]}
        page.route("**/slowz", lambda route: route.fulfill(json=slowz))
        shown(page, "slow-none", "early was behind and caught up")
        expect_equal(page.locator("#slow-rows tr").count(), 1, "rows: one for a connection that is behind")
        expect("late" in page.locator("#slow-rows").text_content(), "the one that is behind")
        watch.expect_quiet()


def subjects_and_clients_with_most_traffic_are_told(browser):
    with broker(), page_of(browser) as (page, watch):
        page.locator("#traffic").scroll_into_view_if_needed()
        shown(page, "o-subjects", "No messages")
        with Load("load.<b>"), Raw(PORT, {"name": "lost"}) as lost:
            lost.send(b"PUB nobody.hears 2\r\nhi\r\n")
            lost.ping()
            # A subject is text, whatever it is.
            until(page, "document.querySelector('#o-subjects code')?.textContent === 'load.<b>'")
            until(page, "parseFloat(document.querySelector('#o-subjects td.number').textContent) > 0")
            shown(page, "o-connections", "load-publisher")
            page.locator("#o-sort").select_option("unrouted")
            until(page, "document.querySelector('#o-subjects code')?.textContent === 'nobody.hears'")
            page.locator("#o-subject").fill("load.*")
            until(page, "document.querySelector('#o-subjects code')?.textContent === 'load.<b>'")
            page.locator("#o-period").select_option("start")
            shown(page, "o-place", "since start")
            count = lambda: page.locator("#o-subjects td.number").first.text_content()
            before = count()
            page.wait_for_function("(before) => document.querySelector('#o-subjects td.number').textContent !== before", arg=before)
        watch.expect_quiet()


def connections_are_sorted_found_and_cut_in_pages(browser):
    with broker(), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client) for client in named(60)]
        clients[41].send(b"PUB nobody 2\r\nhi\r\n" * 7)
        clients[41].ping()
        page, watch = stack.enter_context(page_of(browser))
        page.locator("#connections").scroll_into_view_if_needed()
        shown(page, "c-place", "1–25 of 60")
        expect_equal(names(page), [f"client-{n:03}" for n in range(25)], "the first page")
        page.locator("#c-next").click()
        shown(page, "c-place", "26–50 of 60")
        page.locator("#c-next").click()
        shown(page, "c-place", "51–60 of 60")
        expect(page.locator("#c-next").is_disabled(), "there is a page behind the last")
        # By keyboard: the head of a column is a button.
        page.locator("[data-sort=msgs_from]").focus()
        page.keyboard.press("Enter")
        until(page, "document.querySelector('#c-rows button').textContent === 'client-041'")
        head = page.locator("th", has=page.locator("[data-sort=msgs_from]"))
        expect_equal(head.get_attribute("aria-sort"), "descending", "what the column says of its order")
        expect_equal(page.locator("#c-sort").input_value(), "msgs_from", "what the list says of it")
        page.locator("#c-find").fill("CLIENT-01")
        shown(page, "c-place", "1–10 of 10")
        expect_equal(names(page), [f"client-01{n}" for n in range(10)], "what is found")
        page.locator("#c-find").fill("no such name")
        shown(page, "c-rows", "No client matches")
        page.locator("#c-find").fill("")
        # What has come is read, or to close would reset the connection.
        clients[5].ping()
        clients[5].close()
        page.locator("#c-which").select_option("closed")
        shown(page, "c-rows", "client-005")
        shown(page, "c-rows", "Client Closed")
        watch.expect_quiet()


def a_client_is_told_with_its_subscriptions(browser):
    with broker(), Raw(PORT, {"name": "<b>bold</b>"}) as client:
        client.send(b"SUB orders.*.new crew 7\r\nPUB orders.de.new 2\r\nhi\r\n")
        client.ping()
        with page_of(browser) as (page, watch):
            page.locator("#connections").scroll_into_view_if_needed()
            # What a client calls itself is text.
            page.locator("#c-rows button", has_text="<b>bold</b>").click()
            shown(page, "client-subscriptions", "orders.*.new sid 7 · group crew · 1 delivered")
            expect(page.locator("#client").is_visible(), "the dialog is not open")
            page.keyboard.press("Escape")
            expect(not page.locator("#client").is_visible(), "the dialog stays open")
            watch.expect_quiet()


def subscriptions_are_a_tree_by_token(browser):
    with broker(), Raw(PORT, {}) as client:
        client.send(b"SUB a.b.c 1\r\nSUB a.* 2\r\nSUB a.> 3\r\nSUB z 4\r\n")
        client.ping()
        with page_of(browser) as (page, watch):
            page.locator("#subscriptions").scroll_into_view_if_needed()
            shown(page, "s-place", "4 subscriptions")
            summary = "#s-tree [data-path='{}'] > summary"
            expect("3 subscriptions" in page.locator(summary.format("a")).text_content(), "the count of a branch")
            expect_equal(page.locator(summary.format("a.b")).count(), 0, "branches of one that is closed")
            for path in ("a", "a.b", "a.b.c"):
                page.locator(summary.format(path)).focus()
                page.keyboard.press("Enter")
            page.locator("#s-tree .leaf", has_text="sid 1").wait_for()
            # What is open stays so, and shows what is new.
            client.send(b"SUB a.b.d 5\r\nPUB a.b.c 2\r\nhi\r\n")
            client.ping()
            page.locator(summary.format("a.b.d")).wait_for()
            page.locator("#s-tree .leaf", has_text="1 delivered").wait_for()
            page.locator("#s-how").select_option("test")
            page.locator("#s-subject").fill("a.x")
            shown(page, "s-place", "2 subscriptions")
            page.locator("#s-subject").fill("a..x")
            until(page, "document.getElementById('s-place').textContent.includes('must be valid')")
            # The broker says so with a status that the browser complains about.
            expect(all("400" in line for line in watch.complaints), f"complaints: {watch.complaints}")
            expect_equal(watch.elsewhere, [], "requests to elsewhere")


@contextlib.contextmanager
def broker_by_websocket(more="", before=""):
    """A broker that takes clients by WebSocket."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "broker.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'{before}\nwebsocket {{ listen: "127.0.0.1:{WEBSOCKET}", no_tls: true, {more} }}\n')
        with Broker(BINARY, PORT, ["-m", str(MONITOR), "-c", path]) as broker:
            yield broker


def watch_subject(page, subject, user="", secret=""):
    page.locator("#watch").scroll_into_view_if_needed()
    for field, text in (("w-subject", subject), ("w-user", user), ("w-secret", secret)):
        page.locator(f"#{field}").fill(text)
    page.locator("#w-go").click()


def connections(**wanted):
    told = json.load(urllib.request.urlopen(f"{URL}connz"))["connections"]
    return [one for one in told if all(one.get(name) == value for name, value in wanted.items())]


def a_subject_is_watched_until_told_to_stop(browser):
    with broker_by_websocket(before='ping_interval: "1s"\nping_max: 1'), page_of(browser) as (page, watch):
        watch_subject(page, "orders.*")
        shown(page, "w-state", "Watching orders.*: 0 messages.")
        with Raw(PORT, {"headers": True}) as client:
            # What comes is text, whatever it is, and in order: the newest first.
            client.send(b"PUB orders.new reply.here 20\r\n<b>bold</b> & \r\nmore\r\nPUB other 1\r\nx\r\n"
                        b"HPUB orders.old 21 23\r\nNATS/1.0\r\nA: <i>1\r\n\r\n\xff2\r\n")
            client.ping()
            shown(page, "w-state", "Watching orders.*: 2 messages.")
            cells = page.locator("#w-rows tr").all_text_contents()
            expect("orders.old" in cells[0] and "A: <i>1" in cells[0] and "\ufffd2" in cells[0], f"first row: {cells}")
            expect("orders.newreply to reply.here" in cells[1] and "<b>bold</b> & \u00b7\u00b7more" in cells[1], f"second row: {cells}")
            expect_equal(page.locator("#w-rows b, #w-rows i").count(), 0, "elements out of messages")
            # It answers PING, or it would be closed after two.
            while connections(name="dashboard")[0]["rtt"] == "0s":
                threading.Event().wait(0.2)
            large = os.urandom(200_000)
            client.send(b"PUB orders.large 200000\r\n" + large + b"\r\n")
            client.ping()
            shown(page, "w-rows", "200,000")
        expect_equal(len(connections(type="websocket")), 1, "connections by WebSocket")
        page.locator("#w-clear").click()
        shown(page, "w-state", "Watching orders.*: 0 messages.")
        page.locator("#w-go").click()
        shown(page, "w-state", "Stopped. Watched orders.*")
        while connections(type="websocket"):
            threading.Event().wait(0.05)
        watch.expect_quiet()


def a_flood_is_watched_in_part_and_holds_nobody_up(browser):
    with broker_by_websocket(), page_of(browser) as (page, watch), Load("flood.a"):
        watch_subject(page, "flood.>")
        shown(page, "w-state", "others left out")
        shown(page, "w-state", "the last 100 are shown")
        expect(page.locator("#w-rows tr").count() <= 100, "too many rows")
        # It goes on.
        page.wait_for_function("(before) => document.getElementById('w-state').textContent !== before",
                               arg=page.locator("#w-state").text_content())
        watch.expect_quiet()


def why_a_subject_cannot_be_watched_is_told(browser):
    with broker(), page_of(browser) as (page, watch):
        watch_subject(page, "a")
        shown(page, "w-state", "takes no clients by WebSocket")
        watch.expect_quiet()
    token = 'authorization { token: "secret" }'
    with broker_by_websocket(before=token), page_of(browser) as (page, watch):
        watch_subject(page, "not one")
        shown(page, "w-state", "no blanks")
        watch_subject(page, "a")
        shown(page, "w-state", "The broker says: Authorization Violation.")
        watch_subject(page, "a", secret="secret")
        shown(page, "w-state", "Watching a: 0 messages.")
        watch.expect_quiet()
    users = 'authorization { users: [ {user: ann, password: a, permissions: {subscribe: "open.>"}} ] }'
    with broker_by_websocket(before=users), page_of(browser) as (page, watch):
        watch_subject(page, "closed", "ann", "a")
        shown(page, "w-state", 'The broker says: Permissions Violation for Subscription to "closed".')
        watch_subject(page, "open.x", "ann", "a")
        shown(page, "w-state", "Watching open.x: 0 messages.")
        watch.expect_quiet()
    for more, told in (('allowed_origins: ["https://page.example"]', "add it to allowed_origins"), ("same_origin: true", "(same_origin)")):
        with broker_by_websocket(more), page_of(browser) as (page, watch):
            watch_subject(page, "a")
            shown(page, "w-state", told)
            expect(all("WebSocket" in line for line in watch.complaints), f"complaints: {watch.complaints}")
    with broker_by_websocket(f'allowed_origins: ["{URL.rstrip("/")}"]'), page_of(browser) as (page, watch):
        watch_subject(page, "a")
        shown(page, "w-state", "Watching a: 0 messages.")
        watch.expect_quiet()


def it_fits_a_phone_and_both_colour_schemes(browser):
    with broker(), contextlib.ExitStack() as stack:
        for client in named(30):
            client.send(b"SUB a.subject.that.is.rather.long.and.has.many.tokens 1\r\n")
            client.ping()
            stack.enter_context(client)
        grounds = set()
        for scheme in ("light", "dark"):
            for size in (DESK, PHONE):
                with page_of(browser, scheme, size) as (page, watch):
                    page.locator("#connections").scroll_into_view_if_needed()
                    shown(page, "c-place", "of 30")
                    page.locator("#subscriptions").scroll_into_view_if_needed()
                    shown(page, "s-place", "30 subscriptions")
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    expect(wide <= size["width"], f"{wide} pixels wide on {size['width']}, {scheme}")
                    cut = page.evaluate(
                        "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)"
                        ".map((one) => one.textContent.trim().slice(0, 40))"
                    )
                    expect_equal(cut, [], f"tables that are cut on {size['width']}, {scheme}")
                    page.locator("#c-rows button").first.click()
                    shown(page, "client-subscriptions", "sid 1")
                    box = page.locator("#client").bounding_box()
                    expect(box["x"] >= 0 and box["x"] + box["width"] <= size["width"], f"the dialog is at {box}")
                    grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                    watch.expect_quiet()
        expect_equal(len(grounds), 2, "colours of the ground, by scheme")


def nothing_is_asked_while_nobody_looks(browser):
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });" \
        " document.dispatchEvent(new Event('visibilitychange')); }"
    asked = lambda: json.load(urllib.request.urlopen(f"{URL}varz"))["http_req_stats"].get("/readyz", 0)
    with broker(), page_of(browser) as (page, watch):
        for stop, go_on in (
            (lambda: page.evaluate(hide, True), lambda: page.evaluate(hide, False)),
            (lambda: page.locator("#pause").click(), lambda: page.locator("#pause").click()),
        ):
            stop()
            # A round that has begun may end; two further ones would have begun meanwhile.
            page.wait_for_timeout(1000)
            before = asked()
            page.wait_for_timeout(4500)
            expect_equal(asked(), before, "questions of a hidden page")
            go_on()
            page.wait_for_function("(before) => fetch('varz').then((a) => a.json()).then((v) => v.http_req_stats['/readyz'] > before)", arg=before)
        shown(page, "state", "Running")
        watch.expect_quiet()


def a_lame_duck_is_told(browser):
    with Broker(BINARY, PORT, ["-m", str(MONITOR), "--lame_duck_duration", "30s"]) as duck, Raw(PORT, {}):
        with page_of(browser) as (page, watch):
            shown(page, "attention", "Nothing needs attention")
            duck.process.send_signal(signal.SIGUSR2)
            shown(page, "attention", "Lame duck")
            expect_equal(watch.elsewhere, [], "requests to elsewhere")


def it_says_that_the_broker_is_gone_and_when_it_is_back(browser):
    first = broker().start()
    try:
        with page_of(browser) as (page, watch):
            first.kill()
            page.locator("#gone").wait_for()
            shown(page, "gone", "The broker cannot be reached")
            shown(page, "state", "Unreachable")
            expect(all("ERR_CONNECTION" in line or "ERR_EMPTY" in line for line in watch.complaints), f"complaints: {watch.complaints}")
            with broker(), Load():
                shown(page, "state", "Running")
                page.locator("#gone").wait_for(state="hidden")
                until(page, "parseFloat(document.querySelector('#c-messages b').textContent) > 0")
            expect_equal(watch.elsewhere, [], "requests to elsewhere")
    finally:
        first.kill()


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            # Its sandbox refuses to start for root, as whom containers run.
            chromium_sandbox=os.getuid() != 0,
        )
        try:
            run_checks(
                [
                    numbers_rise_under_load_and_a_line_is_drawn,
                    what_is_known_is_shown_before_anything_is_asked,
                    those_who_have_caught_up_are_one_line,
                    subjects_and_clients_with_most_traffic_are_told,
                    connections_are_sorted_found_and_cut_in_pages,
                    a_client_is_told_with_its_subscriptions,
                    subscriptions_are_a_tree_by_token,
                    a_subject_is_watched_until_told_to_stop,
                    a_flood_is_watched_in_part_and_holds_nobody_up,
                    why_a_subject_cannot_be_watched_is_told,
                    it_fits_a_phone_and_both_colour_schemes,
                    nothing_is_asked_while_nobody_looks,
                    a_lame_duck_is_told,
                    it_says_that_the_broker_is_gone_and_when_it_is_back,
                ],
                browser,
            )
        finally:
            browser.close()


main()
