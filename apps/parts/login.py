"""The page that asks for name and password, and the wait after wrong ones.

Gradio's own page tells everybody the names and parameters of all endpoints.
"""

import collections
import logging
import time

logger = logging.getLogger("apps")

# Wrong logins of an address that cost no wait, and the longest wait in seconds.
FREE, LONGEST = 5, 60.0
# Addresses that are remembered.
ADDRESSES = 10_000

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Log in</title>
<style>
:root { color-scheme: light dark; --line: light-dark(#cbd5e1, #475569); }
body { font: 1rem/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0;
  color: light-dark(#1f2937, #e5e7eb); background: light-dark(#f8fafc, #0b0f19); }
form { display: grid; gap: 1rem; width: min(20rem, 80vw); padding: 1.6rem; border: 1px solid var(--line);
  border-radius: 12px; background: light-dark(#fff, #111827); }
h1 { font-size: 1.4rem; margin: 0; }
p { margin: 0; }
input, button { font: inherit; padding: .55rem .7rem; width: 100%; box-sizing: border-box; border-radius: 8px;
  border: 1px solid var(--line); color: inherit; background: light-dark(#fff, #0b0f19); }
button { border: 0; color: #fff; background: #2563eb; font-weight: 600; cursor: pointer; }
[role=alert] { color: light-dark(#9a3412, #fdba74); }
[role=alert]:empty { display: none; }
</style>
<form>
<h1>Log in</h1>
<p>This demo is for those who have its password.</p>
<label>Name <input name="username" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
<p role="alert"></p>
</form>
<script>
document.forms[0].addEventListener('submit', async event => {
  event.preventDefault();
  const answer = await fetch('login', {method: 'POST', body: new FormData(event.target)});
  if (answer.ok) location.reload();
  else document.querySelector('[role=alert]').textContent = (await answer.json()).detail;
});
</script>
</html>
"""


class Logins:
    """The wrong logins of each address: after some, each further one doubles the time until the next is looked at."""

    def __init__(self) -> None:
        self.trying: collections.Counter[str] = collections.Counter()
        self.wrong: collections.OrderedDict[str, tuple[int, float]] = collections.OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again."""
        count, last = self.wrong.get(address, (0, 0.0))
        pause = min(LONGEST, 2.0 ** (count - FREE)) if count >= FREE else 0.0
        return max(0.0, last + pause - time.monotonic())

    def note(self, address: str, right: bool) -> None:
        """Remember whether a login was right."""
        count, _ = self.wrong.pop(address, (0, 0.0))
        if right:
            return
        logger.warning("wrong login number %d from %s", count + 1, address)
        self.wrong[address] = (count + 1, time.monotonic())
        if len(self.wrong) > ADDRESSES:
            self.wrong.popitem(last=False)
