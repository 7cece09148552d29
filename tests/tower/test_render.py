import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from companyos.tower.ages import age
from companyos.tower.assets import assets, by_path
from companyos.tower.landing import landing
from companyos.tower.model import Card
from companyos.tower.query import Query, View
from companyos.tower.render import Fragments, Frame, NavItem, environment, service_url
from tests.tower.rows import NOW, ago, any_row, arm, board_of, fine, held, incident

FRAME = Frame(subject="user:ana", nav=(NavItem("Tower", "/", "tower.read"),), csrf="token", theme="auto", here="/")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
)


class Page(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, html: str) -> None:
        """Read the page."""
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.text += data


def assert_harmless(html: str) -> None:
    """Nothing on the page runs or leads away but our own script."""
    for tag, attributes in Page(html).elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc", "autofocus"}]
        assert tag not in {"img", "iframe", "object", "base", "style"}
        if tag == "script":
            assert attributes["src"] in by_path()
        for name in ("href", "action", "src"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), attributes


def hostile_card(text: str) -> Card:
    """A service all of whose fields an attacker has written."""
    row = fine(
        name=text,
        domain=text,
        owner=text,
        oncall=text,
        tier=text,
        regions=(text, text),
        environment=text,
        arms=(arm(version=text, source=text, environment=text), arm("canary", version=text, source=text)),
        holds=(held(reason=text),),
        incidents=(incident(text, title=text),),
        sources=(text,),
    )
    return board_of(row).cards[text]


def test_hostile_text_stays_text() -> None:
    """Names, sentences and sources are shown as they are, and never become markup."""
    for text in HOSTILE:
        card = hostile_card(text)
        for view in View:
            query = Query(view=view, q=text, domain=text, owner=text)
            html = Fragments().landing(FRAME, landing(board_of(card.row), query, NOW))
            assert_harmless(html)
            assert text in Page(html).text


@given(st.text(max_size=40))
def test_any_name_gives_an_address_of_ours(name: str) -> None:
    """No name leads to another page, let alone another site."""
    url = service_url(name.encode("utf-8", "replace").decode())
    assert re.fullmatch(r"/services/[A-Za-z0-9_.~%-]*", url)


def test_templates_have_nothing_inline() -> None:
    """The content security policy refuses inline style and script, so there is none to refuse."""
    loader = environment().loader
    assert loader is not None
    for name in loader.list_templates():
        source = loader.get_source(environment(), name)[0]
        assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:|\|safe", source), name


def test_a_fragment_is_rendered_once_while_it_holds() -> None:
    """The same card gives the same text object; a changed one a new one."""
    fragments = Fragments()
    card = board_of(fine()).cards["checkout"]
    assert fragments.row(card, NOW) is fragments.row(card, NOW)
    assert fragments.tile(card) is fragments.tile(card)
    changed = board_of(fine(incidents=(incident(),))).cards["checkout"]
    assert "Burning" in fragments.row(changed, NOW)
    assert "Burning" in fragments.tile(changed)


def test_rendered_fragments_of_gone_services_are_dropped() -> None:
    """Memory does not grow with every service that ever was."""
    fragments = Fragments()
    board = board_of(*(fine(f"s{n}") for n in range(9)))
    fragments.tiles(board.cards.values())
    fragments.forget({"s1": None})
    assert fragments.kept == 1


@given(any_row())
def test_a_tile_says_name_and_state_in_words(row: object) -> None:
    """Who does not see the colour hears the state."""
    card = next(iter(board_of(row).cards.values()))  # type: ignore[arg-type] # a drawn row
    (tag, attributes), *_ = Page(Fragments().tile(card)).elements
    assert tag == "a"
    assert attributes["aria-label"] == f"{card.name}: {card.condition.label}"
    assert card.state in (attributes["class"] or "")


def test_ages_use_the_largest_unit() -> None:
    """The script on the page says them the same way."""
    spans = {0: "0 s", 59: "59 s", 60: "1 min", 3599: "59 min", 3600: "1 h", 172_799: "47 h", 172_800: "2 d"}
    for seconds, said in spans.items():
        assert age(ago(seconds=seconds), NOW) == said
    assert age(ago(seconds=-30), NOW) == "0 s"


def test_an_asset_is_named_by_its_content() -> None:
    """Another content has another address, so a browser may keep each for ever."""
    assert set(assets()) == {"follow.js", "mark.svg", "morph.js", "tower.css", "tower.js"}
    assert all(re.fullmatch(r"/static/[a-z]+\.[0-9a-f]{10}\.(css|js|svg)", path) for path in by_path())


def test_markup_of_fragments_is_not_escaped_twice() -> None:
    """A row inside a page is an element, not text."""
    assert isinstance(Fragments().tile(board_of(fine()).cards["checkout"]), Markup)
