-- What a sign-up may be is said once, here; "kafka_ack stored" hands the
-- database's answer on.
CREATE TABLE IF NOT EXISTS public.signup (
    email       text PRIMARY KEY,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL,
    CONSTRAINT signup_email_check CHECK (email LIKE '_%@_%')
);
