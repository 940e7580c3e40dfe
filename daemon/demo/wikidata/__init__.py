"""The local Wikidata of the demo and the tests: real protocols over the table of the world.

`scenario` is a pure function of a seed: entities as they were and every edit that follows, the
successions among noise. `server` is the process that shows the edits up to the demo's clock over
the Action API, EventStreams and SPARQL. Nothing here knows how Almanac watches.
"""
