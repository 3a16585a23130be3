"""What must hold of a network's training history before anything is concluded from the network."""

from pathlib import Path

from convergent.errors import StudyError


def require_epochs(path: str | Path, found: list[str], epochs: int) -> None:
    """Raise StudyError unless the history in `path` tells of every epoch, from 0, before training, to the last."""
    if found != [str(epoch) for epoch in range(epochs + 1)]:
        raise StudyError(f"{path} does not tell of every epoch: delete it and run the study again.")


def require_accuracy(name: str, found: float, floor: float) -> None:
    """Raise StudyError unless the network called `name` reached the validation accuracy `floor` (0..1)."""
    if not found >= floor:
        raise StudyError(
            f"{name} ended with a validation accuracy of {found:.1%}, below the floor of {floor:.1%}: train "
            "longer or otherwise (config section `training`), or lower training.accuracy_floor if this is "
            "good enough."
        )
