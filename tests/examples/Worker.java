// A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
// java Worker.java
import java.io.IOException;
import java.net.URI;
import java.net.http.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

class Worker {
    static final String jobd = System.getenv("JOBD"), token = System.getenv("TOKEN");
    static final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    static void end(String why) {
        System.err.println(why);
        System.exit(1);
    }

    // Tries until the server has decided: its answer; or null, it never will.
    static HttpResponse<byte[]> post(String path, byte[] body) throws InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(jobd + path)).timeout(Duration.ofSeconds(90))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body));
        if (token != null) request.header("Authorization", "Bearer " + token);
        for (int pause = 1;; pause = Math.min(2 * pause, 30)) {
            try {
                var answer = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
                int status = answer.statusCode();
                if (status < 300) return answer;
                String problem = path + ": " + status + " " + new String(answer.body(), StandardCharsets.UTF_8).trim();
                if (status == 401 || status == 403) end(problem);
                System.err.println(problem);
                if (status < 500 && status != 408 && status != 429) return null;
            } catch (IOException error) {
                System.err.println(path + ": " + error);
            }
            Thread.sleep(1000 * pause);
        }
    }

    static byte[] work(byte[] payload) {
        return new String(payload, StandardCharsets.UTF_8).toUpperCase().getBytes(StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) throws InterruptedException {
        if (jobd == null || jobd.isEmpty()) end("JOBD is not set: where is the server, as http://localhost:8080");
        for (;;) {
            var job = post("/take?wait=30s", new byte[0]);
            if (job == null) Thread.sleep(5000);
            if (job == null || job.statusCode() != 200) continue;
            String lease = job.headers().firstValue("Location").orElseThrow();
            byte[] output;
            try {
                output = work(job.body());
            } catch (RuntimeException error) {
                post(lease + "/fail", error.toString().getBytes(StandardCharsets.UTF_8));
                continue;
            }
            post(lease + "/done", output);
        }
    }
}
