// A worker: takes jobs, upper-cases each payload.
const post = (path, body) => fetch(process.env.JOBD + path, { method: "POST", body });

for (;;) {
    const job = await post("/take?wait=30s");
    const payload = await job.text();
    if (job.status !== 200) continue;
    const lease = job.headers.get("Location");
    try {
        await post(lease + "/done", payload.toUpperCase());
    } catch (error) {
        await post(lease + "/fail", String(error));
    }
}
