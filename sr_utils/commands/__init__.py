"""What `sr-utils` can do: a dataclass per command, whose fields are its arguments and whose `run` does it.

Reading a command line must be quick, so these modules import nothing heavy but inside of `run`.
"""

from sr_utils.commands.enlarge import Enlarge
from sr_utils.commands.measure import Check, Compare, Evaluate, Export
from sr_utils.commands.prepare import Download, Prepare
from sr_utils.commands.runs import Runs
from sr_utils.commands.train import Notebooks, Study, Train

COMMANDS = (
    Download | Prepare | Train | Runs | Enlarge | Evaluate | Compare | Check | Export | Study | Notebooks
)
