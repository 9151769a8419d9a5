"""Words that the sanitiser knows: names of code languages and of HTML elements."""

_CODE = """
bash bat c clojure cmake console cpp cs csharp css csv dart diff docker dockerfile elixir elm
erlang fish fsharp go gradle graphql groovy haskell hcl html http ini java javascript js json
json5 jsonc jsx julia kotlin less lua make makefile markdown md nginx nix objc ocaml perl php
plaintext powershell properties proto protobuf ps1 py python r rb regex rs ruby rust sass scala
scss sh shell sql svelte swift terraform text toml ts tsx txt typescript vb vue xml yaml yml
zig zsh
"""
_HTML = """
a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink
blockquote body br button canvas caption center cite code col colgroup data datalist dd del
details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer form frame
frameset g h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd keygen label
legend li link main map mark marquee math menu menuitem meta meter nav nobr noframes noscript
object ol optgroup option output p param path picture plaintext portal pre progress q rb rp rt
ruby s samp script section select slot small source spacer span strike strong style sub summary
sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul use var
video wbr xmp
"""

#: Names of code that GitHub colours. Others it may draw or embed (mermaid, geojson, suggestion).
CODE_LANGUAGES = frozenset(_CODE.split())
#: Elements whose tags are dropped; any other `<name>` is a placeholder or a type, and shown.
HTML_ELEMENTS = frozenset(_HTML.split())
