"""Help and languages: every node has a page, and every text has a translation; nothing is left over."""

import json
import re

import pytest
from host_command import ROOT
from locale_files import ENGLISH, LOCALES, definitions
from PIL import Image

from clockwork_pack.nodes import NODES

SCHEMAS = {schema.node_id: schema for schema in (node.define_schema() for node in NODES)}
LANGUAGES = ("en", "zh")
TRANSLATIONS = [language for language in LANGUAGES if language != "en"]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
HELP = ROOT / "web" / "docs"
LARGEST_PICTURE = 60_000  # bytes


def texts(language, file="nodeDefs"):
    return json.loads((LOCALES / language / f"{file}.json").read_text(encoding="utf-8"))


def flat(tree, path=()):
    """The texts of a tree by their path."""
    if not isinstance(tree, dict):
        return {path: tree}
    return {key: text for name, branch in tree.items() for key, text in flat(branch, (*path, name)).items()}


def own_types():
    """The types of links that only our nodes have."""
    kinds = {each.get_io_type() for schema in SCHEMAS.values() for each in [*schema.inputs, *schema.outputs]}
    return {kind for kind in kinds if kind.startswith("CLOCKWORK_")}


def test_these_are_the_languages():
    assert sorted(path.name for path in LOCALES.iterdir()) == sorted(LANGUAGES)


def test_english_is_what_the_nodes_say():
    assert texts("en") == definitions(), f"make {ENGLISH.relative_to(ROOT)} again: python tools/locale_files.py"


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_all_texts_and_no_other(language):
    assert flat(texts(language)).keys() == flat(definitions()).keys()


def test_what_is_a_sentence_in_english_is_one_in_chinese():
    chinese = flat(texts("zh"))
    sentences = [path for path in chinese if path[-1] in ("tooltip", "description")]
    assert [path for path in sentences if not CHINESE.search(chinese[path])] == []
    assert [path for path, text in chinese.items() if not text.strip()] == []


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_values_of_combos_stay_what_the_widgets_show(language):
    """A tooltip that explains "stage 1" must say "stage 1", for the editor does not translate values."""
    english, translated = flat(definitions()), flat(texts(language))
    for schema in SCHEMAS.values():
        for each in schema.inputs:
            path = (schema.node_id, "inputs", each.id, "tooltip")
            named = [str(value) for value in getattr(each, "options", None) or [] if str(value) in english[path]]
            assert [value for value in named if value not in translated[path]] == [], path


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_menu_and_types_are_translated(language):
    main = texts(language, "main")
    categories = {schema.category.rpartition("/")[2] for schema in SCHEMAS.values()}
    assert main["nodeCategories"].keys() == categories
    assert main["dataTypes"].keys() == own_types()


def test_each_input_has_a_tooltip():
    bare = [(name, each.id) for name, schema in SCHEMAS.items() for each in schema.inputs if not each.tooltip]
    assert bare == []


class TestHelpPages:
    def test_each_node_has_a_page_and_no_page_lacks_its_node(self):
        assert {path.stem for path in HELP.glob("*.md")} == SCHEMAS.keys()
        assert {path.parent.name for path in HELP.glob("*/zh.md")} == SCHEMAS.keys()

    @pytest.mark.parametrize("name", SCHEMAS)
    @pytest.mark.parametrize("page", ["{}.md", "{}/zh.md"])
    def test_a_page_explains_every_input_with_a_picture_and_an_example(self, name, page):
        text = (HELP / page.format(name)).read_text(encoding="utf-8")
        assert [each.id for each in SCHEMAS[name].inputs if f"`{each.id}`" not in text] == []
        assert re.search(r"^## (Example|示例)$", text, re.MULTILINE)
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
        assert f"images/{name}.png" in pictures
        for picture in pictures:
            file = HELP / picture
            assert file.stat().st_size <= LARGEST_PICTURE
            assert Image.open(file).width <= 1000

    def test_examples_that_pages_name_are_there(self):
        for page in HELP.rglob("*.md"):
            for name in re.findall(r"\*([a-z0-9]+(?:-[a-z0-9]+){2,})\*", page.read_text(encoding="utf-8")):
                assert (ROOT / "example_workflows" / f"{name}.json").is_file(), f"{page.name} names {name}"
