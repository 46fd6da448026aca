"""Public weights of encoders: read from files of any usual kind, fetched once, checked, and under named terms."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hyoid.core.errors import ConfigError, DataError, HyoidError
from hyoid.nets import build_spec, nets
from hyoid.nets.pyramids import catalogue
from hyoid.nets.pyramids.catalogue import CATALOGUE, Source
from hyoid.nets.pyramids.weights import (
    _in_order,
    cache_folder,
    check_weights,
    load_decoder,
    load_encoder_weights,
    read_tensors,
)

NARROW = {"channels": (4, 8, 8, 16, 32, 64)}


def net(in_channels: int = 3, dims: int = 2, seed: int = 0):
    torch.manual_seed(seed)
    return build_spec("unet_resnet18", dims, in_channels, 2, **NARROW).build()


def published() -> dict[str, torch.Tensor]:
    """A narrow ResNet-18 in torchvision's naming, classifier and all."""
    weights = {
        name: torch.randn(value.shape).to(value.dtype) for name, value in net(seed=1).encoder.state_dict().items()
    }
    return weights | {"fc.weight": torch.randn(1000, 64), "fc.bias": torch.randn(1000)}


def pth(path: Path, weights: object) -> Path:
    torch.save(weights, path)
    return path


@pytest.mark.parametrize(
    ("suffix", "wrap"),
    [
        (".pth", lambda weights: weights),
        (".pt", lambda weights: {"state_dict": weights, "epoch": 3}),
        (".pth", lambda weights: {"state_dict": {f"module.{name}": value for name, value in weights.items()}}),
        (  # as a whole net of segmentation_models is saved
            ".pth",
            lambda weights: {
                **{f"encoder.{name}": value for name, value in weights.items() if not name.startswith("fc.")},
                "decoder.blocks.0.conv1.0.weight": torch.zeros(1),
                "segmentation_head.0.weight": torch.zeros(1),
            },
        ),
        (".safetensors", None),
    ],
    ids=["torchvision", "wrapped", "parallel", "segmentation_models", "safetensors"],
)
def test_weights_are_read_from_the_usual_kinds_of_files(suffix, wrap, tmp_path):
    given, ours = published(), net()
    path = tmp_path / f"weights{suffix}"
    if wrap is None:
        save_file(given, path)
    else:
        pth(path, wrap(given))
    assert load_encoder_weights(ours, path) is None
    assert all(torch.equal(value, given[name]) for name, value in ours.encoder.state_dict().items())


def test_grey_volumes_take_weights_of_coloured_pictures(tmp_path):
    given, ours = published(), net(in_channels=1, dims=3)
    load_encoder_weights(ours, pth(tmp_path / "weights.pth", given))
    stem = ours.encoder.conv1.weight
    assert torch.allclose(stem.sum(2), given["conv1.weight"].sum(1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize("row", ["unet_resnet18", "fpn"])
def test_a_whole_model_of_other_names_starts_the_decoder_too(row, tmp_path, caplog):
    def built(seed, **changes):
        torch.manual_seed(seed)
        return build_spec(row, 2, 3, 2, channels=(4, 8, 8, 16, 32, 64), **changes).build().eval()

    theirs, whole = built(1), {}
    for number, (name, value) in enumerate(_in_order(theirs).items()):
        known = name.startswith("encoder.")
        last = name.rpartition(".")[2]
        kind = "segmentation_head" if name.startswith("head") else "decoder"
        whole[name if known else f"{kind}.{number}.{last}"] = value
    ours, x = built(2), torch.randn(1, 3, 32, 64)
    with caplog.at_level("INFO"):
        load_encoder_weights(ours, pth(tmp_path / "whole.pth", whole))
    assert "encoder and the decoder start" in caplog.text
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    other = {"decoder.0.weight": torch.zeros(3), **whole}
    assert not load_decoder(built(3), other)


def test_a_whole_nested_model_starts_each_node_with_its_own_weights(tmp_path):
    def built(seed):
        torch.manual_seed(seed)
        changes = {"decoder": {"name": "nested", "inner": "encoder"}, "channels": (4, 8, 8, 8, 8)}
        return build_spec("unet_resnet18", 2, 3, 2, decoder_channels=(8,) * 4, **changes).build().eval()

    def renamed(name):  # as segmentation_models.pytorch calls its nodes, all of one shape here
        if not name.startswith("decoder.nodes."):
            return name.replace("heads.0", "segmentation_head.0")
        level, column = map(int, name.split(".")[2].split("_"))
        return f"decoder.blocks.x_{4 - level - column}_{3 - level}.{name.split('.', 3)[3]}"

    theirs, ours = built(1), built(2)
    whole = {renamed(name): value for name, value in theirs.state_dict().items()}
    nodes = sorted((name for name in whole if ".x_" in name), key=lambda name: name.split(".")[2].split("_")[::-1])
    rest = {name: value for name, value in whole.items() if name not in nodes}
    load_encoder_weights(ours, pth(tmp_path / "whole.pth", rest | {name: whole[name] for name in nodes}))
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_timms_classifier_of_a_vgg_is_left_aside(tmp_path):
    ours = build_spec("unet_vgg11", 2, 3, 2, channels=(4, 8, 8, 8, 8, 8)).build()
    names = [name for name in ours.encoder.state_dict() if name.startswith("features.")]
    given = {name: torch.randn(ours.encoder.state_dict()[name].shape) for name in names}
    extra = {"pre_logits.fc1.weight": torch.zeros(1), "head.fc.bias": torch.zeros(1)}
    load_encoder_weights(ours, pth(tmp_path / "vgg.pth", given | extra))
    assert torch.equal(ours.encoder.state_dict()[names[0]], given[names[0]])


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("caught",))


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="not a readable file of weights"):
        read_tensors(path)
    torch.save({"a": torch.zeros(1), "b": Trap()}, path)
    with pytest.raises(DataError, match="not a readable file of weights"):
        read_tensors(path)
    assert "caught" not in capsys.readouterr().out


def test_files_without_tensors_and_nets_without_such_an_encoder_are_refused(tmp_path):
    with pytest.raises(DataError, match="no tensors"):
        read_tensors(pth(tmp_path / "empty.pth", {"epoch": 3}))
    with pytest.raises(ConfigError, match="no encoder with published weights"):
        load_encoder_weights(build_spec("unet", 2, 1, 2, channels=(4, 8)).build(), tmp_path / "empty.pth")
    with pytest.raises(ConfigError, match=r"Did you mean 'resnet"):
        check_weights(net(), "resnet35")


@pytest.fixture
def entry(tmp_path, monkeypatch) -> Source:
    """An entry of the catalogue whose file lies on this machine."""
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "cache"))
    path = pth(tmp_path / "tiny-resnet.pth", published())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = Source(path.as_uri(), digest[:8], "CC-BY-4.0", "unet_resnet18", ("he2016deep",))
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", source)
    return source


def test_named_weights_are_fetched_once_and_kept(entry, tmp_path):
    assert load_encoder_weights(net(), "tiny") == entry
    kept = cache_folder() / "tiny-resnet.pth"
    assert [path.name for path in kept.parent.iterdir()] == ["tiny-resnet.pth"]
    (tmp_path / "tiny-resnet.pth").unlink()
    assert load_encoder_weights(net(), "tiny") == entry


def test_a_file_with_another_digest_is_not_used_and_not_kept(entry, monkeypatch):
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", Source(entry.url, "00000000", "MIT", entry.net, ()))
    with pytest.raises(DataError, match="its sha256 begins with"):
        load_encoder_weights(net(), "tiny")
    assert not (cache_folder() / "tiny-resnet.pth").exists()
    cache_folder().mkdir(parents=True, exist_ok=True)
    (cache_folder() / "tiny-resnet.pth").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"is not tiny-resnet\.pth"):
        load_encoder_weights(net(), "tiny")


def test_offline_tells_where_to_put_the_file(entry, monkeypatch):
    nowhere = Source("http://127.0.0.1:9/tiny.pth", entry.sha256, "MIT", entry.net, ())
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", nowhere)
    with pytest.raises(HyoidError, match=r"could not be fetched .* put it at .*cache/weights/tiny\.pth\.$"):
        load_encoder_weights(net(), "tiny")


def test_non_commercial_weights_must_be_asked_for_as_such(entry, monkeypatch):
    bound = Source(entry.url, entry.sha256, "CC-BY-NC-4.0", entry.net, (), commercial=False)
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny", bound)
    with pytest.raises(ConfigError, match=r"CC-BY-NC-4\.0 .* ask for non_commercial/tiny"):
        check_weights(net(), "tiny")
    assert load_encoder_weights(net(), "non_commercial/tiny") == bound
    with pytest.raises(ConfigError, match="may be used commercially too; ask for resnet34"):
        check_weights(net(), "non_commercial/resnet34")


def test_every_entry_names_digest_licence_paper_and_a_net_of_the_shelf():
    for name, source in CATALOGUE.items():
        assert source.net in nets and source.net == f"unet_{name}"
        assert len(source.sha256) >= 8 and f"-{source.sha256[:8]}.pth" in source.url
        assert source.licence and source.papers and source.url.startswith("https://")


def test_the_cache_follows_the_environment(monkeypatch):
    monkeypatch.delenv("HYOID_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/hyoid/weights")
    monkeypatch.setenv("HYOID_CACHE", "/else")
    assert cache_folder() == Path("/else/weights")
