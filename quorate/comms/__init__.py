"""How mail travels: `converse` runs a protocol's rounds over the crowd, by sums where only sums are heard, else by
inboxes on neighbour lists.

    conversation.py  `converse`: the rounds of one tick
    sums.py          `tally`: everybody's mail as one sum, O(N) a round
    inboxes.py       `exchange`: an inbox for each on neighbour lists, O(N K) a round
    edges.py         `gather`: sums over neighbours on an edge list, O(E) a round
    board.py         `meet`: places where many post and from which many read, O(N (P + W) + M) a round
    channel.py       what lies between: the interface of loss, delay and of faults in a row
    graphs.py        who hears whom: ring, grid, tree, random graphs, graphs of your own
"""

from quorate.comms import board
from quorate.comms.board import Meeting
from quorate.comms.channel import Channel, Sums, like
from quorate.comms.conversation import LIES, Talked, boot, converse, node_keys, rebooted
from quorate.comms.edges import Edges, gather, to_edges, to_neighbours
from quorate.comms.graphs import (
    complete,
    from_edges,
    from_networkx,
    grid,
    k_regular,
    ring,
    scale_free,
    small_world,
    tree,
)
from quorate.comms.inboxes import exchange, with_extras
from quorate.comms.sums import tally
from quorate.core import Inbox, Neighbours, News
from quorate.numerics.choose import first

__all__ = [
    "LIES",
    "Channel",
    "Edges",
    "Inbox",
    "Meeting",
    "Neighbours",
    "News",
    "Sums",
    "Talked",
    "boot",
    "board",
    "complete",
    "converse",
    "exchange",
    "first",
    "from_edges",
    "from_networkx",
    "gather",
    "grid",
    "k_regular",
    "like",
    "node_keys",
    "rebooted",
    "ring",
    "scale_free",
    "small_world",
    "tally",
    "to_edges",
    "to_neighbours",
    "tree",
    "with_extras",
]
