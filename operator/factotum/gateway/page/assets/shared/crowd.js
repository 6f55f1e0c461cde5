// How many streams the pages of this browser hold in all: it has six connections for one server,
// and a page beside others has to get some of them for its questions.

const HELD = 4;
const TOLD_EVERY = 10_000;
const FORGOTTEN_AFTER = 25_000;
const ANSWERS = 40;

const page = `${Date.now()}-${Math.random()}`;
const channel = new BroadcastChannel("factotum-streams");
const others = new Map();
let own = 0;

const tell = (more = {}) => channel.postMessage({ page, own, ...more });

channel.addEventListener("message", ({ data }) => {
  if (data.own) others.set(data.page, { own: data.own, at: Date.now() });
  else others.delete(data.page);
  if (data.asks && own) tell();
});
setInterval(() => own && tell(), TOLD_EVERY);
addEventListener("pagehide", () => tell({ own: 0 }));
addEventListener("pageshow", () => tell());

/** Answered once the other pages have had the time to say what they hold. */
const heard = new Promise((resolve) => setTimeout(resolve, ANSWERS));
tell({ asks: true });

/**
 * Ask for a stream to hold; what comes is whether there is one to be had. Who holds one gives it
 * back with `release`, who gets none takes turns.
 */
export async function hold() {
  await heard;
  const now = Date.now();
  let all = own;
  for (const [name, told] of others) {
    if (now - told.at > FORGOTTEN_AFTER) others.delete(name);
    else all += told.own;
  }
  if (all >= HELD) return false;
  own += 1;
  tell();
  return true;
}

/** Give a stream back. */
export function release() {
  own -= 1;
  tell();
}
