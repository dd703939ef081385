"""Write a recording with the depth of a recorded stereo camera, as the node would publish it.

    python 04_recording.py drive drive_depth [/front]

Requires the extra `bags`. The command line does the same: `depth-ros bag process drive drive_depth`.
"""

import sys

import depth_ros

source, target, *namespace = sys.argv[1:]
settings = depth_ros.StereoSettings(quality='strict')
report = depth_ros.process_recording(source, target, settings, namespaces=namespace or [''])
print(f'{report.written} of {report.frames} frames in {report.seconds:.1f} s; dropped: {report.dropped or "none"}')
