"""Event files of a run that was killed, cut back to the checkpoint that it goes on from."""

import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..runs.files import write_atomically

# Its steps are optimizer steps; those of all else are epochs.
BATCH_LOSS = "train/batch_loss"


def forget_after(folder: Path, epochs: int, steps: int, others: Mapping[str, int] = MappingProxyType({})) -> None:
    """Takes out of all event files in a folder what was logged beyond so many epochs and optimizer steps.

    TensorBoard's own way, ``purge_step``, knows one kind of step only. A record that was being written when the run was
    killed goes as well.

    Args:
        folder: of the event files.
        epochs: the last one that is kept.
        steps: the last one that is kept, of single batches.
        others: the last step that is kept of curves with steps of another kind, by their names.
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
                continue  # no event; TensorBoard would not show it either
            values = list(event.summary.value)
            # Whatever it is without a value, such as the version of the file, stays.
            known = [value for value in values if event.step <= last.get(value.tag, epochs)]
            if known or not values:
                del event.summary.value[:]
                if known:
                    event.summary.value.extend(known)
                writer.write(record if len(known) == len(values) else event.SerializeToString())
        write_atomically(path, kept.getvalue())
