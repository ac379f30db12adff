"""What is valid, one table of rules a form: GRAPH, NETWORK, DISCRETE, QUANTISED.

Conversion checks a form where it is made and after each pass, the artifact where it is loaded; nothing that
takes a form asks again. A new rule is a function in the table of its form.
"""

from snn_deploy.network.validity.discrete import DISCRETE as DISCRETE
from snn_deploy.network.validity.network import NETWORK as NETWORK
from snn_deploy.network.validity.quantised import QUANTISED as QUANTISED
from snn_deploy.network.validity.table import Table as Table
from snn_deploy.network.validity.table import check as check
from snn_deploy.network.validity.table import violations as violations
