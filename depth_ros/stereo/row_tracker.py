"""Tracking of the shift between the rows of a stereo pair: confirmation, smoothing, and the correction in use."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from depth_ros.stages.align_rows import is_negligible
from depth_ros.stereo.row_measurement import RowMeasurement, measure_rows
from depth_ros.types import Camera, RowShift, StereoFrame

State = Literal['unknown', 'measured', 'held']
_PERIOD_S, _PERIOD_AT_START_S = 2.0, 0.5
_GATE_PX = 0.2
"""Largest difference between two measurements that agree, root mean square over the image."""
_AGREEING_TO_START, _AGREEING_TO_STEP = 2, 4
_GAIN = 0.3
"""Weight of the newest measurement in the running mean."""
_RENEW_PX = 0.05
"""Change of the shift at which the correction is computed again."""
MAX_OFF_PX = 0.5
"""Largest shift, root mean square over the image, without a warning."""


@dataclass(frozen=True)
class RowStatus:
    """State of the rows of one pair."""

    state: State = 'unknown'
    """held = the newest measurement failed or was not followed."""
    shift: RowShift | None = None
    """Shift of the rows as the images arrive, without a correction; None while unknown."""
    off_px: float = 0.0
    """Root mean square of the shift over the image, pixels at the processed size."""
    corrected: bool = False
    """Whether the measured frame was corrected."""
    matches: int = 0
    """Number of matches in the newest measurement."""
    scatter_px: float = 0.0
    """Scatter of the matches in the newest measurement."""
    why: str = ''
    """Why the newest measurement failed or was not followed."""

    @property
    def warning(self) -> str:
        """Warning about rows that differ so much that depth is lost; empty if there is no reason for one."""
        if self.shift is None or self.corrected or self.off_px <= MAX_OFF_PX:
            return ''
        return (
            f'the rows of the right image are off by {describe(self.shift, self.off_px)}; expected at most '
            f'{MAX_OFF_PX:g} px. Depth is missing or wrong. Calibrate the pair again, or set align_rows: true'
        )

    @property
    def values(self) -> dict[str, str]:
        """The state for the diagnostics, by key; empty before the first measurement."""
        if self == RowStatus():
            return {}
        values: dict[str, str] = {'state': self.state}
        if self.shift is not None:
            values |= {
                'off_px': f'{self.off_px:.2f}',
                'shift_px': f'{self.shift.offset_px:.2f}',
                'roll_deg': f'{math.degrees(self.shift.over_x):.3f}',
                'scale_percent': f'{100 * self.shift.over_y:.3f}',
                'corrected': str(self.corrected).lower(),
            }
        values |= {'matches': str(self.matches), 'scatter_px': f'{self.scatter_px:.2f}'}
        values |= {'why': self.why} if self.why else {}
        return {f'rows.{key}': value for key, value in values.items()}


def describe(shift: RowShift, off_px: float) -> str:
    """Return a shift in words, with its root mean square over the image."""
    roll_deg, per_cent = math.degrees(shift.over_x), 100 * shift.over_y
    return f'{off_px:.2f} px (shift {shift.offset_px:+.2f} px, roll {roll_deg:+.3f} deg, scale {per_cent:+.3f} %)'


class RowTracker:
    """Tracks the shift of the rows of one pair. One thread calls it; others may read ``status`` and ``correction``.

    Two measurements that agree start the tracking. A measurement close to the running mean updates it; four
    consecutive ones that agree with each other but not with the mean replace it. Failed measurements change nothing.
    """

    status: RowStatus
    correction: RowShift | None
    """Shift to be removed from the right image, in pixels of the frame; None = none."""

    def __init__(self) -> None:
        self._reset(Camera(1, 1, 1.0, 1.0, 0.0, 0.0))

    def _reset(self, camera: Camera) -> None:
        self._camera = camera
        self._mean: RowShift | None = None
        self._pending: list[RowShift] = []
        self._measured_s, self._next_s = math.inf, 0.0
        self.status, self.correction = RowStatus(), None

    def observe(self, frame: StereoFrame, now_s: float) -> str:
        """Measure the rows of a frame if it is time for it: every 2 s, and after 0.5 s to confirm the first one.

        If the frame was corrected, the rest of its shift is measured and added to the correction.

        Args:
            frame: A frame that is not needed urgently any more.
            now_s: Time of the frame, seconds; a jump back is followed by a measurement.

        Returns:
            A text for the log if the tracked shift has changed; otherwise empty.
        """
        if frame.rig.right == self._camera and self._measured_s <= now_s < self._next_s:
            return ''
        return self.update(measure_rows(frame), frame, now_s)

    def update(self, measurement: RowMeasurement, frame: StereoFrame, now_s: float) -> str:
        """Add a measurement of a frame; return a text for the log if the tracked shift has changed."""
        if frame.rig.right != self._camera:
            self._reset(frame.rig.right)
        text, why = '', measurement.why
        if measurement.shift is not None:
            applied = frame.row_shift
            text, why = self._add(measurement.shift if applied is None else measurement.shift.plus(applied))
        period_s = _PERIOD_AT_START_S if self._pending and self._mean is None else _PERIOD_S
        self._measured_s, self._next_s = now_s, now_s + period_s
        self._renew_correction()
        before, corrected = self.status.state, frame.row_shift is not None
        off_px = self._mean.rms_px(self._camera) if self._mean else 0.0
        state: State = 'unknown' if self._mean is None else 'held' if why else 'measured'
        self.status = RowStatus(
            state, self._mean, off_px, corrected, measurement.matches, measurement.scatter_px, why
        )  # fmt: skip
        if state == 'held' and before != 'held':
            return f'the shift of the rows of the right image cannot be confirmed: {why}. The last value is kept'
        return text

    def _add(self, shift: RowShift) -> tuple[str, str]:
        """Add a measured shift; return a text for the log, and why the shift was not followed."""
        if self._mean is not None and self._agree(shift, self._mean):
            self._mean = self._mean.times(1 - _GAIN).plus(shift.times(_GAIN))
            self._pending = []
            return '', ''
        if self._pending and not self._agree(shift, self._pending[-1]):
            self._pending = []
        self._pending.append(shift)
        needed = _AGREEING_TO_START if self._mean is None else _AGREEING_TO_STEP
        if len(self._pending) < needed:
            return '', (
                'a second measurement that agrees with the first is needed' if self._mean is None
                else 'the newest measurement differs; it is followed if the next ones agree with it'
            )  # fmt: skip
        before, self._mean, self._pending = self._mean, _mean(self._pending), []
        return self._change(before, self._mean), ''

    def _change(self, before: RowShift | None, after: RowShift) -> str:
        new = describe(after, after.rms_px(self._camera))
        if before is None:
            return f'the rows of the right image are off by {new}'
        return f'the rows of the right image have moved: off by {new}, before {before.rms_px(self._camera):.2f} px'

    def _renew_correction(self) -> None:
        """Replace the correction if the tracked shift has moved away from it."""
        if self._mean is None:
            return
        none = RowShift(0.0, 0.0, 0.0)
        if self._difference_px(self._mean, self.correction or none) > _RENEW_PX:
            self.correction = None if is_negligible(self._mean, self._camera) else self._mean

    def _agree(self, a: RowShift, b: RowShift) -> bool:
        return self._difference_px(a, b) < _GATE_PX

    def _difference_px(self, a: RowShift, b: RowShift) -> float:
        return a.plus(b.times(-1)).rms_px(self._camera)


def _mean(shifts: Sequence[RowShift]) -> RowShift:
    total = shifts[0]
    for shift in shifts[1:]:
        total = total.plus(shift)
    return total.times(1 / len(shifts))
