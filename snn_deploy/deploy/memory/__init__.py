"""Associative memory: FAISS for the first hop, Hebbian association for the chain.

``AssociativeMemory`` stores keys (spike counts or float vectors) in one SQLite file, recalls the nearest
and follows chains of links; ``edge_table_chain`` is the baseline to print beside every chain;
``MilvusMemory`` does the same on a Milvus server; ``on_minus_off`` and ``unit_vectors`` turn read-out
counts into keys. Importing this loads no FAISS.
"""

from snn_deploy.deploy.memory.associative import AssociativeMemory as AssociativeMemory
from snn_deploy.deploy.memory.chain import edge_table_chain as edge_table_chain
from snn_deploy.deploy.memory.filters import Condition as Condition
from snn_deploy.deploy.memory.milvus import MilvusMemory as MilvusMemory
from snn_deploy.deploy.memory.results import Chain as Chain
from snn_deploy.deploy.memory.results import Check as Check
from snn_deploy.deploy.memory.results import Hit as Hit
from snn_deploy.deploy.memory.results import Hop as Hop
from snn_deploy.deploy.memory.results import Item as Item
from snn_deploy.deploy.memory.results import Link as Link
from snn_deploy.deploy.memory.results import MemoryStats as MemoryStats
from snn_deploy.deploy.memory.results import Recall as Recall
from snn_deploy.deploy.memory.vectors import UnitVectors as UnitVectors
from snn_deploy.deploy.memory.vectors import on_minus_off as on_minus_off
from snn_deploy.deploy.memory.vectors import silent_rows as silent_rows
from snn_deploy.deploy.memory.vectors import unit_vectors as unit_vectors
