"""Draws the image of docs/nav2.md: ``PYTHONPATH=.:test python test/draw_nav2.py docs/images/nav2_clearing.png``."""

import sys

import cv2
import numpy as np
from nav2_model import ObstacleLayer, Source
from stages.test_navigation import BOX, OBSTACLES, hall, seen, sources, to_global

from depth_ros.geometry import Mount
from depth_ros.stages.navigation import clearing_points
from depth_ros.stages.project import project

MOUNT = Mount(0.8, 0.3)
SIDE = 300
MOMENTS = {'an obstacle stands there': 5, 'one frame after it left': 6, 'three seconds later': 35}


def image(layer, rays):
    """Draw a costmap from above, with the camera at the bottom facing up."""
    cells = np.full((SIDE, SIDE, 3), 255, np.uint8)
    scale = SIDE / 4.0

    def to_pixels(points):
        return np.stack([SIDE / 2 - points[:, 1] * scale, SIDE - 12 - points[:, 0] * scale], axis=1).astype(int)

    for end in to_pixels(rays)[::3]:
        cv2.line(cells, (SIDE // 2, SIDE - 12), tuple(map(int, end)), (170, 205, 235), 1, cv2.LINE_AA)
    xy = (np.argwhere(layer.lethal) + 0.5) * layer.resolution - layer.half
    for x, y in to_pixels(xy):
        cv2.rectangle(cells, (x - 2, y - 2), (x + 1, y + 1), (190, 20, 20), -1)
    cv2.circle(cells, (SIDE // 2, SIDE - 12), 6, (40, 40, 40), -1)
    cv2.rectangle(cells, (0, 0), (SIDE - 1, SIDE - 1), (120, 120, 120), 1)
    return cells


def column(with_clearing):
    """Return images of the costmap at the three moments, stacked vertically."""
    layer, images = ObstacleLayer(), []
    recipe, alone = sources(), Source(True, True, 0.1, 2.0, 2.5, 3.0)
    origin = np.array([0.0, 0.0, MOUNT.height_m])
    for frame in range(max(MOMENTS.values()) + 1):
        depth = seen(hall(BOX) if 2 <= frame <= 5 else hall(), MOUNT, range_max_m=4.0)
        points = to_global(project(depth, organized=False, stride=4).points, MOUNT)
        free = to_global(clearing_points(depth, MOUNT, OBSTACLES, 3.5, 0.05).points, MOUNT)
        if with_clearing:
            layer.update([(recipe['depth_mark'], points, origin), (recipe['depth_clear'], free, origin)])
        else:
            layer.update([(alone, points, origin)])
        if frame in MOMENTS.values():
            images.append(image(layer, free if with_clearing else points[points[:, 2] > 0.1][::40]))
    return np.vstack([cv2.copyMakeBorder(each, 26, 8, 8, 8, cv2.BORDER_CONSTANT, value=(255,) * 3) for each in images])


def write(canvas, text, position, size=0.45):
    cv2.putText(canvas, text, position, cv2.FONT_HERSHEY_SIMPLEX, size, (30, 30, 30), 1, cv2.LINE_AA)


def main(path):
    """Draw and write the image."""
    both = np.hstack([column(False), column(True)])
    canvas = cv2.copyMakeBorder(both, 30, 4, 4, 4, cv2.BORDER_CONSTANT, value=(255,) * 3)
    width = canvas.shape[1] // 2
    write(canvas, 'points alone', (16, 20), 0.6)
    write(canvas, 'points and points_clear', (width + 8, 20), 0.6)
    for row, text in enumerate(MOMENTS):
        for side in (0, 1):
            write(canvas, text, (16 + side * (width - 8), 48 + row * (SIDE + 34)))
    cv2.imwrite(path, cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == '__main__':
    main(sys.argv[1])
