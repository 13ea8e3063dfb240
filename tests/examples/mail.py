"""Mails by a queue: a service to which jobd posts them, which hands each to the mail server. While that one is away it
says 503, and the breaker in mail.json holds the mails back until a try, each 30 s, gets through.

    python3 mail.py & jobd --config mail.json
    curl -s 'localhost:8080/do/mail?key=ann@example.org' -H 'Idempotency-Key: welcome-17' \
        -d '{"to": "ann@example.org", "subject": "Welcome", "text": "Good to see you."}'
"""
import email.message, http.server, json, os, smtplib

class Mail(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        try:
            fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            mail = email.message.EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = "shop@example.org", fields["to"], fields["subject"]
            mail["Message-ID"] = "<%s@example.org>" % self.headers["Idempotency-Key"].strip('"')
            mail.set_content(fields["text"])
            with smtplib.SMTP(os.environ.get("SMTP", "localhost:25"), timeout=20) as server:
                server.send_message(mail)
            self.answer(200, "sent")
        except (ValueError, KeyError, TypeError, smtplib.SMTPRecipientsRefused) as error:
            self.answer(422, f"not a mail: {error!r}")  # for good
        except (OSError, smtplib.SMTPException) as error:
            self.answer(503, f"no mail server: {error}")  # tried again

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

service = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Mail)
print("listening on port", service.server_port, flush=True)
service.serve_forever()
