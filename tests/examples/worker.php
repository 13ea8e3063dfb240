<?php
// A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one.
$jobd = getenv("JOBD") ?: die_of("JOBD is not set: where is the server, as http://localhost:8080");
$token = getenv("TOKEN");

function complain(string $why): void
{
    fwrite(STDERR, trim($why) . "\n");
}

function die_of(string $why): never
{
    complain($why);
    exit(1);
}

// One request: status, fields and body; or null, and it has said why.
function ask(string $path, string $body): ?array
{
    global $jobd, $token;
    $context = stream_context_create(["http" => [
        "method" => "POST", "content" => $body, "timeout" => 90, "ignore_errors" => true,
        "header" => "Content-Type: application/octet-stream" . ($token ? "\r\nAuthorization: Bearer $token" : ""),
    ]]);
    $answer = @fopen($jobd . $path, "r", false, $context);
    $fields = [];
    foreach ($http_response_header ?? [] as $line)
        if (preg_match('/^([^:]+): *(.*)$/', $line, $field))
            $fields[strtolower($field[1])] = $field[2];
    $size = (int)($fields["content-length"] ?? 0);
    $payload = $answer ? stream_get_contents($answer, $size) : "";
    if (!preg_match('/^HTTP\S+ (\d+)/', $http_response_header[0] ?? "", $status) || strlen($payload) < $size) {
        complain("$path: " . (error_get_last()["message"] ?? "no whole answer"));
        return null;
    }
    return [(int)$status[1], $fields, $payload];
}

// Tries until the server has decided: its answer; or null, it never will.
function post(string $path, string $body = ""): ?array
{
    for ($pause = 1; ; $pause = min(2 * $pause, 30)) {
        $answer = ask($path, $body);
        if ($answer) {
            [$status, , $payload] = $answer;
            if ($status < 300) return $answer;
            complain("$path: $status $payload");
            if ($status === 401 || $status === 403) exit(1);
            if ($status < 500 && $status !== 408 && $status !== 429) return null;
        }
        sleep($pause);
    }
}

while (true) {
    $job = post("/take?wait=30s");
    if (!$job) sleep(5);
    if (!$job || $job[0] !== 200) continue;
    [, $fields, $payload] = $job;
    try {
        $output = strtoupper($payload);
    } catch (Throwable $error) {
        post($fields["location"] . "/fail", $error->getMessage());
        continue;
    }
    post($fields["location"] . "/done", $output);
}
