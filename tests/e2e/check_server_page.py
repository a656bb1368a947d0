#!/usr/bin/env python3
"""The chat page of llmir-serve in headless Chromium, as somebody uses it who would rather click. Exit code 77: there is no Chromium."""

import shutil
import sys
import unittest

import e2e
import serving

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    webdriver = None


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        file = e2e.WORK / "page.key"
        bundle = e2e.tiny_bundle(name="page")
        file.write_text("secret\n")
        cls.server = serving.Server(bundle)
        cls.guarded = serving.Server(bundle, "--api-key-file", file)
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=900,700"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        cls.browser = webdriver.Chrome(options=options, service=service)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.server.stop()
        cls.guarded.stop()

    def find(self, name):
        return self.browser.find_element(By.ID, name)

    def articles(self, kind):
        return [item.get_attribute("textContent") for item in self.browser.find_elements(By.CSS_SELECTOR, f"article.{kind}")]

    def until(self, condition):
        return WebDriverWait(self.browser, 60).until(lambda _: condition())

    def open(self, server):
        self.browser.get(f"http://127.0.0.1:{server.port}/")

    def test_chat(self):
        self.open(self.server)
        self.until(lambda: self.find("model").text == "page")
        question = "the cat <script>document.title = 'taken'</script>"
        self.find("text").send_keys(question + Keys.ENTER)
        self.until(lambda: self.find("speed").text.endswith("tokens/s") and self.find("send").text == "Send")
        self.assertEqual(self.articles("user"), [question])
        self.assertEqual(len(self.articles("assistant")), 1)
        self.assertTrue(self.articles("assistant")[0])
        self.assertEqual(self.browser.title, "llmir")
        self.find("text").send_keys("and the dog" + Keys.SHIFT + Keys.ENTER + Keys.NULL + "ran")
        self.find("send").click()
        self.until(lambda: len(self.articles("assistant")) == 2)
        self.until(lambda: self.find("send").text == "Send")
        self.assertEqual(self.articles("user")[1], "and the dog\nran")
        self.find("clear").click()
        self.until(lambda: not self.articles("user") and not self.articles("assistant"))
        self.assertEqual(self.articles("error"), [])
        self.assertEqual([entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE" and entry["source"] != "network"], [])

    def test_key(self):
        self.open(self.guarded)
        self.until(lambda: self.articles("error") and self.find("key").is_displayed())
        self.assertIn("Bearer KEY", self.articles("error")[0])
        self.find("key").send_keys("secret")
        self.find("text").send_keys("the cat" + Keys.ENTER)
        self.until(lambda: any(self.articles("assistant")) and self.find("model").text == "page")

    def test_too_long_a_question_is_an_error_to_read(self):
        self.open(self.server)
        self.until(lambda: self.find("model").text == "page")
        self.browser.execute_script("document.getElementById('text').value = 'word '.repeat(3000)")
        self.find("send").click()
        self.until(lambda: self.articles("error"))
        self.assertIn("the context", self.articles("error")[0])


if __name__ == "__main__":
    if webdriver is None or not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: selenium, chromium or chromedriver is not here")
        sys.exit(77)
    unittest.main(verbosity=2)
