"""The servers that federate, by name."""

from sides.ejabberd import Ejabberd
from sides.prosody import Prosody
from sides.waxwing import Waxwing

KINDS = {"waxwing": Waxwing, "prosody": Prosody, "ejabberd": Ejabberd}
