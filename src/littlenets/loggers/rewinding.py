"""Remove events from TensorBoard event files that are later than the checkpoint from which a run is resumed."""

import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..runs.files import write_atomically

# The steps of this curve are optimizer steps; those of the other curves are epochs.
BATCH_LOSS = "train/batch_loss"


def forget_after(folder: Path, epochs: int, steps: int, others: Mapping[str, int] = MappingProxyType({})) -> None:
    """Remove all values that were logged after a given epoch or optimizer step from the event files in a folder.

    TensorBoard's ``purge_step`` is not used because it supports only one kind of step. A record that was only partly
    written when the run was killed is removed as well.

    Args:
        folder: folder of the event files.
        epochs: the last epoch that is kept.
        steps: the last optimizer step that is kept; it applies to the curve of single batches.
        others: the last step that is kept, by name, for curves with other kinds of steps.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    last = {BATCH_LOSS: steps, **others}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        kept = io.BytesIO()
        writer = RecordWriter(kept)
        for record in RawEventFileLoader(str(path)).Load():
            try:
                event = Event.FromString(record)
            except DecodeError:
                continue  # the record is not an event, and TensorBoard would not show it
            values = list(event.summary.value)
            # Keep events without values, such as the version of the file.
            known = [value for value in values if event.step <= last.get(value.tag, epochs)]
            if known or not values:
                del event.summary.value[:]
                if known:
                    event.summary.value.extend(known)
                writer.write(record if len(known) == len(values) else event.SerializeToString())
        write_atomically(path, kept.getvalue())
