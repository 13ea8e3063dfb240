// A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
const { JOBD, TOKEN } = process.env;
const headers = TOKEN ? { Authorization: `Bearer ${TOKEN}` } : {};
const sleep = (seconds) => new Promise((wake) => setTimeout(wake, 1000 * seconds));

function end(why) {
    console.error(why);
    process.exit(1);
}

// Tries until the server has decided: its answer and the payload; or null, it never will.
async function post(path, body) {
    for (let pause = 1; ; pause = Math.min(2 * pause, 30)) {
        try {
            const signal = AbortSignal.timeout(90_000);
            const answer = await fetch(JOBD + path, { method: "POST", headers, body, signal });
            const payload = await answer.text();
            const problem = `${path}: ${answer.status} ${payload}`.trim();
            if (answer.ok) return { answer, payload };
            if ([401, 403].includes(answer.status)) end(problem);
            console.error(problem);
            if (answer.status < 500 && ![408, 429].includes(answer.status)) return null;
        } catch (error) {
            console.error(`${path}: ${error.cause?.message ?? error.message}`);
        }
        await sleep(pause);
    }
}

if (!JOBD) end("JOBD is not set: where is the server, as http://localhost:8080");
for (;;) {
    const job = await post("/take?wait=30s");
    if (!job) await sleep(5);
    if (job?.answer.status !== 200) continue;
    const lease = job.answer.headers.get("Location");
    let output, problem;
    try {
        output = job.payload.toUpperCase();
    } catch (error) {
        problem = String(error);
    }
    await (problem ? post(lease + "/fail", problem) : post(lease + "/done", output));
}
