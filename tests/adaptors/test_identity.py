import torch

from clockwork_pack.adaptors import Identity
from clockwork_pack.clockwork_core.adaptor import Past, Present
from clockwork_pack.clockwork_core.cut import Place


def test_the_newest_r_out_as_it_is():
    newest, older = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4)
    past = [Past((1.0, 1.0), newest), Past((0.5, 0.5), older)]
    assert Identity().predict(past, Present(None, torch.zeros(2, 16), None, 1.5)) is newest


def test_what_it_asks_of_the_engine():
    identity = Identity()
    assert (identity.name, identity.place, identity.depth) == ("identity", Place.AFTER_UPSAMPLE, 1)
