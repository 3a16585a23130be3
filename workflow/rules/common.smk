# The study: its configuration, completed and checked, and the plan of what it consists of.

import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The library beside this file, whichever version may be installed.
sys.path.insert(0, str(Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent))
# The user's own modules in the working directory, for architectures given as package.module:function.
sys.path.append(os.getcwd())

from configuration import ORIGIN, completed, require_own_place, require_writable
from convergent.errors import StudyError
from fingerprint import code
from plan import EXAMPLE_STAGES, Plan, any_of
from resources import Needs

try:
    # Jobs on a cluster parse the workflow again; what the main process has checked need not be checked there.
    config = completed(config, thorough=workflow.is_main_process)
    plan = Plan(config)
except StudyError as error:
    raise WorkflowError(str(error)) from None

needs = Needs(plan, submitting=workflow.is_main_process)


pathvars:
    study=f"<results>/{plan.study}",


# Where the configuration comes from and where the results go, as the user sees them.
config_file = os.path.relpath(workflow.configfiles[-1]) if workflow.configfiles else None
started = time.time()
study_folder = workflow.pathvars.apply("<study>")

try:
    require_own_place(study_folder, plan.study, config_file)
    if workflow.is_main_process:
        require_writable(study_folder)
except StudyError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    network=any_of(plan.networks),
    population=any_of(plan.members),
    layer=any_of(plan.layers),
    tile=r"\d+-\d+",
