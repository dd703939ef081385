"""Headless Chromium of Debian with software rendering."""

import shutil


def chromium_is_here():
    return shutil.which('chromium') is not None and shutil.which('chromedriver') is not None


def open_chromium(width, height):
    """Return a driver; ``get_log('browser')`` returns the messages of the console."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in (
        '--headless=new', '--no-sandbox', '--disable-dev-shm-usage', f'--window-size={width},{height}',
        '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader',
    ):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = shutil.which('chromium')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    return webdriver.Chrome(options=options, service=Service(shutil.which('chromedriver')))
