"""Compute metric depth from one image with a relative network and manually measured distances.

    python 03_relative_network_known_distance.py MODEL image.png 320,400,1.5 100,220,6.0

Each distance is column,row,metres. Two points at different depths determine scale and shift of an inverse-depth network
(MiDaS, Depth Anything); one point determines the scale only and assumes a shift of zero.
"""

import sys

import numpy as np

import depth_ros

model, image_path, *points = sys.argv[1:]
known = []
for point in points:
    u, v, metres = point.split(',')
    known.append(depth_ros.KnownDepth(int(u), int(v), float(metres)))

with depth_ros.MonoDepth(model) as mono:
    depth = mono(depth_ros.read_image(image_path), known_depths=known)

if isinstance(depth, depth_ros.RelativeMap):
    sys.exit(f'the depth is not in metres: {depth.missing_for_metres}')
print(f'median {np.nanmedian(depth.depth_m):.2f} m')
np.save('depth.npy', depth.depth_m)
