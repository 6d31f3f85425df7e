"""`scripts/load`: mentions and page views for a stack that is up, and what became of them.

Open loop: every arrival is fixed before the first one (`plan`), and time is counted from it, so a
stack that becomes slow is asked as much as before and the waiting counts. Mentions go through the
stack's real Bluesky network as far as that keeps up (`people`); what is more goes straight to the
function that stores mentions (`intake`), by people who exist nowhere. Bluesky knows nothing of
these, so the bot looks each of them up and then withholds the reply: all of the work but the last
write. `Outcome.replies` counts both kinds.
"""
