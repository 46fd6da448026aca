"""Tasks: what is asked of a net, that is, what its channels mean. Read in this order:

- `task`: Task, what every task is; the shelf `tasks`
- `semantic`: every voxel is background or one structure
- `regions`: structures that may overlap
- `choose`: `task_for`, which task labels ask for

`task_for`, `tasks` and `Task` can be imported from here.
"""

from .choose import task_for
from .task import Task, tasks

__all__ = ["Task", "task_for", "tasks"]
