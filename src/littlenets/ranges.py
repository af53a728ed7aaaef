"""Numbers that not every value will do for, as annotations: the configuration check reads them."""

from math import inf
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Count = Annotated[int, Gt(0)]
#: Of points that are drawn: a configuration from elsewhere must not fill the memory.
PointCount = Annotated[int, Gt(0), Le(1_000_000)]
ArmCount = Annotated[int, Gt(0), Le(100)]
Finite = Annotated[float, Gt(-inf), Lt(inf)]
NotNegative = Annotated[float, Ge(0), Lt(inf)]
Positive = Annotated[float, Gt(0), Lt(inf)]
#: A share of a whole that leaves something over.
Share = Annotated[float, Ge(0), Lt(1)]
