"""The table of the family, and nets as drawn: levels, widths and skips found by following maps."""

from __future__ import annotations

import xml.etree.ElementTree as Xml

import pytest
import torch
import yaml

from hyoid.core.errors import ConfigError
from hyoid.nets import NetSpec, build_spec
from hyoid.nets.blocks import windows
from hyoid.nets.cost import cost, without_numbers
from hyoid.nets.drawing import WIDTH, as_svg
from hyoid.nets.portrait import portrait
from hyoid.nets.sheet import family, made_for, receptive_field, sheet
from hyoid.workflow import show_nets


def seen(name: str, shape=(64, 64), **changes):
    """Share, widths and skip of each level."""
    net = without_numbers(build_spec(name, len(shape), 1, 2, **changes))
    return [(str(level.scale[-1]), level.widths, level.skips) for level in portrait(net, 1, net.fitting_shape(shape))]


def test_a_u_is_drawn_with_its_levels_widths_and_skips():
    drawn = seen("unet", channels=(4, 8, 16))
    assert drawn == [("1", (4, 4), True), ("1/2", (8, 8), True), ("1/4", (16,), False)]


def test_unpadded_convolutions_make_no_levels():
    drawn = seen("unet_original", (188, 188), channels=(4, 8, 16))
    assert drawn == [("1", (4, 4), True), ("1/2", (8, 8), True), ("1/4", (16,), False)]


def test_nodes_of_a_nested_decoder_are_drawn():
    drawn = seen("unet_plus_plus", channels=(4, 8, 16))
    assert drawn == [("1", (4, 4, 4), True), ("1/2", (8, 8), True), ("1/4", (16,), False)]


def test_an_encoder_without_a_map_on_the_finest_grid_has_no_skip_there():
    drawn = seen("unet_resnet18")
    assert drawn[0] == ("1", (1, 16), False)
    assert drawn[1] == ("1/2", (64, 32), True)
    assert drawn[-1] == ("1/32", (512,), False)


def test_unpooling_with_indices_is_no_skip():
    assert not any(skips for _, _, skips in seen("segnet"))


def test_axes_with_other_strides_are_told_apart():
    net = without_numbers(build_spec("unet", 3, 1, 2, channels=(4, 8), strides=[[1, 1, 1], [1, 2, 2]]))
    assert [str(part) for part in portrait(net, 1, (4, 8, 8))[1].scale] == ["1", "1/2", "1/2"]


def test_a_sheet_tells_cost_drawing_fields_and_papers():
    found = sheet("unet_plus_plus", (64, 64), 3, 5)
    lines = found.describe()
    assert f"{cost(found.spec, (64, 64)).parameters:,} parameters" in lines[1]
    assert max(map(len, lines[3:12])) <= WIDTH + 8
    assert "@inproceedings{zhou2018unetplusplus," in lines
    start, end = lines.index("kind: u"), next(index for index, line in enumerate(lines) if line.startswith("@"))
    assert NetSpec.parse(yaml.safe_load("\n".join(lines[start:end]))) == found.spec


def test_the_svg_has_a_bar_for_every_map():
    found = sheet("unet", (64, 64))
    page = Xml.fromstring(as_svg(found.levels, 2, "a < b"))
    bars = [element for element in page.iter() if element.tag.endswith("rect")]
    assert len(bars) == sum(len(level.widths) for level in found.levels)
    assert any(element.text == "a < b" for element in page.iter())


def test_rows_of_a_family_are_sorted_by_size_and_know_their_cost():
    found = family((64, 64), names=["unet_vgg11", "unet_edge", "unet", "vnet"])
    assert [(row.family, row.name) for row in found.rows] == [
        ("classic", "unet"),
        ("classic", "vnet"),
        ("light", "unet_edge"),
        ("light", "unet_vgg11"),
    ]
    assert found.rows[0].cost == cost(build_spec("unet", 2, 1, 2), (64, 64))
    assert found.rows[0].dims == (2, 3)


def test_a_net_is_built_without_numbers_with_the_same_weights_names_and_shapes():
    spec = build_spec("u_mamba", 2, 1, 2, channels=(4, 8))
    shapes = {name: value.shape for name, value in spec.build().state_dict().items()}
    light = without_numbers(spec).state_dict()
    assert {name: value.shape for name, value in light.items()} == shapes
    assert all(value.device == torch.device("meta") for value in light.values())


def test_receptive_fields_are_told_in_a_word():
    assert receptive_field((5.0, 5.0)) == "5"
    assert receptive_field((1.0, 5.0)) == "1x5"
    assert receptive_field((float("inf"),) * 3) == "all"


def test_a_wrong_shape_or_name_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match="expected 2 sizes"):
        show_nets("unet", dims=2, input_shape="64x64x64")
    with pytest.raises(ConfigError, match="256x256 or 96x96x96"):
        show_nets("unet", input_shape="64")
    with pytest.raises(ConfigError, match="2 or 3 dimensions"):
        show_nets("unet", dims=4)
    with pytest.raises(ConfigError, match="Did you mean"):
        show_nets("unett")
    with pytest.raises(ConfigError, match="Name the net"):
        show_nets(svg=tmp_path / "net.svg")
    with pytest.raises(ConfigError, match="too small to train on"):
        show_nets("unet_densenet121", input_shape="32x32")
    assert made_for("unet") == (2, 3)


def test_nets_that_an_image_is_too_small_for_are_named_and_the_others_shown(caplog):
    found = family((3, 3), names=["unet", "attention_unet"])
    assert [row.name for row in found.rows] == ["unet"]
    assert "3x3 is too small to train: attention_unet." in caplog.text


def test_the_verb_writes_the_drawing(tmp_path):
    found = show_nets("unet", input_shape="32x32x32", out_channels=4, svg=tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text(encoding="utf-8") == found.to_svg()
    assert "4 logits" in found.to_svg()


def test_a_gate_inside_a_skip_does_not_hide_the_width_of_the_level():
    assert seen("attention_unet", channels=(8, 16, 32))[0] == ("1", (8, 8), True)


@pytest.mark.parametrize("name", ["swin_unet", "swin_unetr"])
def test_costing_a_net_leaves_nothing_behind_that_disturbs_training(name):
    windows._relative.cache_clear()
    spec = build_spec(name, 2, 1, 2)
    cost(spec, (64, 64))
    assert windows._relative.cache_info().currsize
    made = windows._relative((7, 7), (7, 7))
    assert torch.equal(made, windows._relative.__wrapped__((7, 7), (7, 7)))
    net = spec.build()
    with torch.inference_mode():
        net(torch.zeros(1, 1, *net.fitting_shape((96, 96))))
    sum(logits.mean() for logits in net(torch.zeros(2, 1, *net.fitting_shape((96, 96))))).backward()
    sum(logits.mean() for logits in net(torch.zeros(2, 1, *net.fitting_shape((64, 64))))).backward()


def test_capsules_are_joined_across_the_u():
    assert [level[2] for level in seen("segcaps")][:3] == [True, True, True]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deeplab_v3_plus", "kernels spread by 6, 12, 18 lie side by side, and the mean of the image"),
        ("unet_two_encoders", "two encoders side by side"),
        ("segcaps", "several kinds of capsules lie side by side"),
        ("swin_unet", "regrouped to 1/8, 1/16, 1/32 with 192, 384, 768 channels"),
        ("unet_3plus", "takes every finer map down"),
    ],
)
def test_a_drawing_says_what_it_does_not_show(name, words):
    found = show_nets(name, input_shape="64x64")
    assert any(line.startswith("Not drawn: ") and words in line for line in found.describe())
    assert words in found.to_svg()
