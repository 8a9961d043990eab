"""Uses the page as a person would, in headless Chromium. What is not as it should be ends the script.

browse.py PAGE PICTURES: PAGE is the address of the page with name and password, PICTURES a directory
for screenshots. It has the programs of web_page.rs.
"""
import base64
import http.server
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

PAGE, PICTURES = sys.argv[1], pathlib.Path(sys.argv[2])
parts = urlsplit(PAGE)
ORIGIN = f"http://{parts.hostname}:{parts.port}"
PATIENCE = 30

profile = tempfile.TemporaryDirectory()
options = webdriver.ChromeOptions()
options.binary_location = shutil.which("chromium")
for flag in [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,800", f"--user-data-dir={profile.name}",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
]:
    options.add_argument(flag)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            found = condition()
        except Exception as error:  # the page changes while it is looked at
            found, last = None, error
        if found:
            return found
        if time.monotonic() > deadline:
            browser.save_screenshot(str(PICTURES / "failed.png"))
            raise SystemExit(f"waited in vain until {what}; see {PICTURES}/failed.png")
        time.sleep(0.02)


def check(what, holds):
    if not holds:
        browser.save_screenshot(str(PICTURES / "failed.png"))
        raise SystemExit(f"it does not hold that {what}; see {PICTURES}/failed.png")


def one(selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def every(selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def row(name):
    return one(f"tr[data-name='{name}']")


def state(name):
    return row(name).find_element(By.CSS_SELECTOR, ".state").text


def press(label):
    one(f"button[aria-label='{label}']").click()


def post(path, body=b""):
    """As a script does it: not by way of the browser."""
    request = urllib.request.Request(f"{ORIGIN}/{path}", data=body, method="POST")
    word = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    request.add_header("Authorization", f"Basic {word}")
    return json.load(urllib.request.urlopen(request))


def lines():
    return [element.text for element in every("#lines div") if element.is_displayed()]


def is_clean():
    """No script failed, and nothing was kept from loading by the policy of the page."""
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    # Answers that say no are seen as failures to load.
    severe = [text for text in severe if "the server responded with a status of" not in text]
    check(f"the console is clean, but it has {severe}", not severe)


def watches():
    browser.get(PAGE)
    until("a runs", lambda: state("a") == "running")
    check("the identifier is shown", one("#identifier").text == "page-test")
    check("the group has a heading", "2 processes" in one("tr.group").text)
    until("CPU has a line", lambda: row("a").find_element(By.CSS_SELECTOR, ".cpu .edge").get_attribute("d"))
    check("memory is shown", "iB" in row("a").find_element(By.CSS_SELECTOR, ".memory").text)
    until("broken has failed", lambda: state("broken") == "fatal")
    check("it says why", "can't find command" in row("broken").text)
    is_clean()


def clicks():
    press("Stop a")
    until("a has stopped", lambda: state("a") == "stopped")
    check("it tells how it ended", "SIGTERM" in row("a").text)
    press("Start a")
    until("a runs again", lambda: state("a") == "running")
    pid = row("a").find_element(By.CSS_SELECTOR, ".pid").text
    press("Restart a")
    until("a has another pid", lambda: row("a").find_element(By.CSS_SELECTOR, ".pid").text not in ("", pid))
    press("Start broken")
    until("the error is told", lambda: "broken" in one("#toasts").text)
    post("api/v1/stop/a")
    until("what others do is seen", lambda: state("a") == "stopped")
    post("api/v1/start/a")
    until("a runs", lambda: state("a") == "running")


def asks_before_stopping_many():
    press("Stop group w")
    until("it asks", lambda: one("#confirm").is_displayed())
    one("#confirm button[value=no]").click()
    check("nothing was stopped", state("w:w_0") == "running")
    press("Stop group w")
    until("it asks", lambda: one("#confirm").is_displayed())
    one("#yes").click()
    until("the group has stopped", lambda: state("w:w_0") == state("w:w_1") == "stopped")
    press("Start group w")
    until("the group runs", lambda: state("w:w_0") == state("w:w_1") == "running")


def follows_a_log():
    evil = "<img src=x onerror=\"document.title='pwned'\"> \x1b[31mred\x1b[0m \x1b]0;t\x07 \u202eabc"
    press("Log a")
    until("the log is open", lambda: one("#log").is_displayed())
    post("api/v1/stdin/a", f"hello there\n{evil}\n".encode())
    until("the line is there", lambda: any("onerror" in line for line in lines()))
    check("markup is text", not every("#lines img") and "pwned" not in browser.title)
    shown = next(line for line in lines() if "onerror" in line)
    check("escapes are gone", "red" in shown and "\x1b" not in shown and "\u202e" not in shown)
    one("#search").send_keys("HELLO")
    until("the match is marked", lambda: every("#lines mark"))
    check("matches are counted", one("#found").text == "1 line")
    one("#only").click()
    until("only matches are shown", lambda: len(lines()) == 1)
    one("#only").click()
    one("#search").clear()
    one("#search").send_keys(Keys.BACKSPACE)
    one("#pause").click()
    post("api/v1/stdin/a", b"while it paused\n")
    until("it counts what waits", lambda: "(1)" in one("#pause").text)
    check("it shows nothing new", not any("while it paused" in line for line in lines()))
    one("#pause").click()
    until("it goes on", lambda: any("while it paused" in line for line in lines()))
    link = one("#download").get_attribute("href")
    saved = browser.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then(a => a.text()).then(done)", link)
    check("the download is the file", saved.startswith("hello there\n") and "\x1b[31mred" in saved)
    browser.save_screenshot(str(PICTURES / "log.png"))
    every("#channels button")[1].click()
    until("the other output is shown", lambda: one("#channels button[aria-pressed=true]").text == "stderr")
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    until("the log is closed", lambda: not one("#log").is_displayed())
    # Whoever is quick: one log is closed and the next asked for in the same moment.
    press("Log a")
    until("the log is open again", lambda: one("#log").is_displayed())
    browser.execute_script(
        "document.getElementById('log').close();"
        "document.querySelector(\"button[aria-label='Log mute']\").click();")
    until("it says that there is none", lambda: lines() == ["stdout is kept in no file."])
    check("there is nothing to download", not one("#download").is_displayed())
    one("#close").click()
    one("#main-log").click()
    until("the main log is there", lambda: any("spawned: 'a'" in line for line in lines()))
    one("#close").click()
    is_clean()


def can_be_used_by_keyboard():
    ActionChains(browser).send_keys("/").perform()
    check("/ leads to the filter", browser.switch_to.active_element.get_attribute("id") == "filter")
    ActionChains(browser).send_keys("w_1").perform()
    until("one is left", lambda: [it.get_attribute("data-name") for it in every("tr.process") if it.is_displayed()] == ["w:w_1"])
    seen = []
    for _ in range(7):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.append(browser.switch_to.active_element.get_attribute("aria-label"))
        outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
        check("what has the focus shows it", outline != "none")
    check(f"buttons are reached by Tab, but {seen}", "Restart w:w_1" in seen and "Log w:w_1" in seen)
    one("#filter").send_keys("_and_none")
    until("it says that none is left", lambda: one("#nothing").is_displayed())
    one("#show-all").click()
    until("all are shown", lambda: len([it for it in every("tr.process") if it.is_displayed()]) == 5)
    names = browser.execute_script(
        "return [...document.querySelectorAll('button, a, input')].filter(it => it.offsetParent)"
        ".filter(it => !(it.textContent.trim() || it.getAttribute('aria-label') || it.labels?.length)).length")
    check("everything that can be pressed has a name", names == 0)


def fits_every_screen():
    browser.save_screenshot(str(PICTURES / "wide.png"))
    light = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    check("it is dark where it should be", ground != light)
    browser.save_screenshot(str(PICTURES / "dark.png"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    for width in (1100, 900, 720, 390, 320):
        screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        sticks_out = browser.execute_script(
            "const wide = document.documentElement.clientWidth;"
            "return [...document.querySelectorAll('body *:not(.unseen)')].filter(it => it.offsetParent)"
            ".filter(it => it.getBoundingClientRect().right > wide + 1).map(it => it.outerHTML.slice(0, 80))")
        check(f"everything fits {width} pixels, but {sticks_out}", not sticks_out)
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    check("nothing sticks out on a phone",
          browser.execute_script("return document.documentElement.scrollWidth <= 390"))
    browser.save_screenshot(str(PICTURES / "phone.png"))
    press("Log a")
    until("the log is open", lambda: one("#log").is_displayed())
    browser.save_screenshot(str(PICTURES / "phone-log.png"))
    one("#close").click()
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def asks_nobody_else():
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(it => it.name)")
    foreign = [it for it in loaded if urlsplit(it).netloc.split("@")[-1] != urlsplit(ORIGIN).netloc]
    check(f"everything comes from here, but {foreign}", loaded and not foreign)


FOREIGN = """<!doctype html><body>
<form id=f method=post enctype=text/plain action="TARGET/RPC2"><input name="<?xml version" value="'1.0'?><methodCall><methodName>supervisor.stopAllProcesses</methodName></methodCall>"></form>
<img src="TARGET/?action=stopall">
<script>
fetch("TARGET/api/v1/stop/all", {method: "POST", mode: "no-cors", credentials: "include"});
fetch("TARGET/?action=stopall", {mode: "no-cors", credentials: "include"});
fetch("TARGET/live", {credentials: "include"}).then(() => document.title = "read", () => document.title = "kept out");
setTimeout(() => f.submit(), 500);
</script>"""


def foreign_pages_do_nothing():
    """With the password of the real page still in the browser, and no password at all."""
    for target in (ORIGIN, sys.argv[3]):
        page = FOREIGN.replace("TARGET", target).encode()

        class Foreign(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.get(f"http://localhost:{server.server_port}/")
        until("the form was sent", lambda: "RPC2" in browser.current_url)
        check("it was refused", "another site" in one("body").text)
        server.shutdown()
    # DNS rebinding: a name of theirs that leads here.
    port = urlsplit(sys.argv[3]).port
    browser.get(f"http://evil.example:{port}/")
    check("a name that need not be ours is refused", "host name" in one("body").text)
    browser.get(PAGE)
    until("all still run", lambda: state("a") == state("w:w_0") == state("w:w_1") == "running")


try:
    for step in (watches, clicks, asks_before_stopping_many, follows_a_log, can_be_used_by_keyboard,
                 fits_every_screen, asks_nobody_else, foreign_pages_do_nothing):
        step()
        print("ok", step.__name__, flush=True)
finally:
    browser.quit()
    profile.cleanup()
