"""Draws the image of the viewer in the README: ``PYTHONPATH=.:test python test/draw_view.py docs/images/view.jpg``."""

import sys
import time

import cv2
import numpy as np
from browser import open_chromium
from domains import next_domain
from graph import NodeProcess

PORT = 8461


def main(path):
    """Run camera, node and viewer, and write a screenshot of the page."""
    domain = next_domain()
    cloud = ('--ros-args', '-p', 'cloud_stride:=1', '-p', 'quality:=strict')
    page = ('view', '--port', str(PORT), '--max-points', '250000')
    with (
        NodeProcess(domain, module='depth_ros.tools.file_camera'),
        NodeProcess(domain, *cloud),
        NodeProcess(domain, *page, module='depth_ros.cli.main'),
    ):
        time.sleep(4)
        browser = open_chromium(1500, 1000)
        browser.get(f'http://127.0.0.1:{PORT}')
        time.sleep(30)
        browser.execute_script("document.querySelectorAll('.mantine-Notification-closeButton').forEach(b => b.click())")
        time.sleep(5)
        image = cv2.imdecode(np.frombuffer(browser.get_screenshot_as_png(), np.uint8), cv2.IMREAD_COLOR)
        browser.quit()
    cv2.imwrite(
        path, cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA), (cv2.IMWRITE_JPEG_QUALITY, 82)
    )


if __name__ == '__main__':
    main(sys.argv[1])
