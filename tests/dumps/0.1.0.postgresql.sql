--
-- PostgreSQL database dump
--

\restrict 3m10kmbNz8WZWcmtYGPAojF0H906LQ5kQsfbY2dEKA5Obs4UYDqYvkj0u1trxDz

-- Dumped from database version 18.6
-- Dumped by pg_dump version 18.6

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: configuration; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.configuration (
    id text NOT NULL,
    tenant text NOT NULL,
    configuration_hash text NOT NULL,
    dataset_id text NOT NULL,
    dataset_name text NOT NULL,
    dataset_digest text NOT NULL,
    spec json NOT NULL,
    protocol text NOT NULL,
    method text NOT NULL,
    folds json NOT NULL,
    n_seeds integer NOT NULL,
    n_incomplete_seeds integer NOT NULL,
    n_test integer,
    accuracy_mean double precision,
    accuracy_sd double precision,
    accuracy_low double precision,
    accuracy_high double precision,
    macro_f1_mean double precision,
    macro_f1_sd double precision,
    macro_f1_low double precision,
    macro_f1_high double precision,
    parameters bigint,
    macs bigint,
    bundle_bytes bigint,
    updated_at timestamp with time zone NOT NULL
);


--
-- Name: configuration_result; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.configuration_result (
    configuration_id text NOT NULL,
    seed integer NOT NULL,
    fold text NOT NULL,
    run_id text NOT NULL,
    accuracy double precision NOT NULL,
    macro_f1 double precision NOT NULL,
    n integer NOT NULL,
    confusion json NOT NULL
);


--
-- Name: dataset; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.dataset (
    id text NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    state character varying(16) NOT NULL,
    source json NOT NULL,
    upload_digest text,
    report json,
    content_digest text,
    tree_digest text,
    cause text,
    detail text,
    created_at timestamp with time zone NOT NULL,
    token integer NOT NULL,
    worker text,
    lease_expires_at timestamp with time zone,
    queued_at timestamp with time zone,
    attempts integer NOT NULL,
    stalled_attempts integer NOT NULL
);


--
-- Name: event; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.event (
    job_id text NOT NULL,
    seq integer NOT NULL,
    kind text NOT NULL,
    data json NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: idempotency_key; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_key (
    tenant text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    answer json NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: job; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.job (
    id text NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    state character varying(16) NOT NULL,
    spec json NOT NULL,
    configuration_hash text NOT NULL,
    dataset_id text NOT NULL,
    priority integer NOT NULL,
    event_seq integer NOT NULL,
    cause text,
    detail text,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone
);


--
-- Name: metric; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.metric (
    run_id text NOT NULL,
    name text NOT NULL,
    step integer NOT NULL,
    value double precision NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: model; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.model (
    id text NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    last_version integer NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: model_alias; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.model_alias (
    model_id text NOT NULL,
    alias text NOT NULL,
    version integer NOT NULL,
    updated_at timestamp with time zone NOT NULL
);


--
-- Name: model_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.model_version (
    model_id text NOT NULL,
    version integer NOT NULL,
    run_id text NOT NULL,
    bundle_digest text NOT NULL,
    bundle_bytes bigint NOT NULL,
    metrics json NOT NULL,
    dataset_name text NOT NULL,
    dataset_digest text NOT NULL,
    protocol text NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    payload json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    available_at timestamp with time zone NOT NULL,
    attempts integer NOT NULL,
    sent_at timestamp with time zone
);


--
-- Name: outbox_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: outbox_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.outbox_id_seq OWNED BY public.outbox.id;


--
-- Name: run; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run (
    id text NOT NULL,
    tenant text NOT NULL,
    job_id text NOT NULL,
    seed integer NOT NULL,
    fold text NOT NULL,
    fold_index integer NOT NULL,
    n_test integer NOT NULL,
    "position" integer NOT NULL,
    rank integer NOT NULL,
    device text NOT NULL,
    state character varying(16) NOT NULL,
    wanted character varying(16) NOT NULL,
    epoch integer NOT NULL,
    epochs integer,
    checkpoint_digest text,
    checkpoint_epoch integer,
    result json,
    report json,
    predictions_digest text,
    bundle_digest text,
    bundle_bytes bigint,
    tracking_id text,
    cause text,
    detail text,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    token integer NOT NULL,
    worker text,
    lease_expires_at timestamp with time zone,
    queued_at timestamp with time zone,
    attempts integer NOT NULL,
    stalled_attempts integer NOT NULL
);


--
-- Name: outbox id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox ALTER COLUMN id SET DEFAULT nextval('public.outbox_id_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0001');


--
-- Data for Name: configuration; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.configuration VALUES ('1fb41bc36495c7672a3ff1b7ef98e73380126f64ab8d7ebcd18b840a976b85f4', 'default', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 'made', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', '{"name": "succeeded", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0, 1], "resources": {"device": "auto"}}', 'cross_subject', 'pskd', '["cross_subject"]', 2, 0, 20, 0.85, 0, 0.85, 0.85, 0.849624060150376, 0, 0.849624060150376, 0.849624060150376, 1000, 3000000000, 4096, '2026-11-22 22:23:32.021434+00');
INSERT INTO public.configuration VALUES ('cc406dced033c82c8ef71c950b9abc4ac347e94f9bc6b6381e567bbe54919b04', 'default', '128fbb3d23d0c4b8b3d9475a9e548a44f66c6ca43c4d6739874cfa31ff8429ac', 'ds_01m82npzjjm8d64q71xvm4gec4', 'made', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', '{"name": "pooled", "dataset": "made", "protocol": {"kind": "loso", "subjects": null}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', 'loso', 'pskd', '["loso:1", "loso:2"]', 1, 0, 40, 0.85, NULL, NULL, NULL, 0.849624060150376, NULL, NULL, NULL, 1000, 3000000000, 4096, '2026-11-22 22:23:32.193367+00');


--
-- Data for Name: configuration_result; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.configuration_result VALUES ('1fb41bc36495c7672a3ff1b7ef98e73380126f64ab8d7ebcd18b840a976b85f4', 0, 'cross_subject', 'run_01m82npzk77e2f4ypbyd3rps13', 0.85, 0.849624060150376, 20, '[[8, 2], [1, 9]]');
INSERT INTO public.configuration_result VALUES ('1fb41bc36495c7672a3ff1b7ef98e73380126f64ab8d7ebcd18b840a976b85f4', 1, 'cross_subject', 'run_01m82npzk8ncwr1sn5fndwcmsz', 0.85, 0.849624060150376, 20, '[[8, 2], [1, 9]]');
INSERT INTO public.configuration_result VALUES ('cc406dced033c82c8ef71c950b9abc4ac347e94f9bc6b6381e567bbe54919b04', 0, 'loso:1', 'run_01m82npzke46aj8cckphct6645', 0.85, 0.849624060150376, 20, '[[8, 2], [1, 9]]');
INSERT INTO public.configuration_result VALUES ('cc406dced033c82c8ef71c950b9abc4ac347e94f9bc6b6381e567bbe54919b04', 0, 'loso:2', 'run_01m82npzkf4m7ycyfsa3m10h4v', 0.85, 0.849624060150376, 20, '[[8, 2], [1, 9]]');


--
-- Data for Name: dataset; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.dataset VALUES ('ds_01m82npzjjm8d64q71xvm4gec4', 'default', 'made', 'ready', '{"kind": "synthetic"}', NULL, '{"recordings": 20}', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', '7777777777777777777777777777777777777777777777777777777777777777', NULL, NULL, '2026-11-22 22:23:31.923564+00', 2, NULL, NULL, NULL, 1, 1);
INSERT INTO public.dataset VALUES ('ds_01m82npzyg08hbd2nfdnz71m2r', 'default', 'waiting', 'validating', '{"kind": "synthetic"}', NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-22 22:23:32.305272+00', 0, NULL, NULL, '2026-11-22 22:23:32.305273+00', 0, 0);


--
-- Data for Name: event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:31.939757+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:31.949229+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 2, 'run.state', '{"run_id": "run_01m82npzk77e2f4ypbyd3rps13", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}', '2026-11-22 22:23:31.965348+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 3, 'job.state', '{"state": "running"}', '2026-11-22 22:23:31.965432+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 4, 'run.epoch', '{"run_id": "run_01m82npzk77e2f4ypbyd3rps13", "seed": 0, "fold": "cross_subject", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 1.0}}', '2026-11-22 22:23:31.973622+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 5, 'run.state', '{"run_id": "run_01m82npzk77e2f4ypbyd3rps13", "seed": 0, "fold": "cross_subject", "state": "succeeded", "attempts": 1}', '2026-11-22 22:23:32.000172+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 6, 'run.state', '{"run_id": "run_01m82npzk8ncwr1sn5fndwcmsz", "seed": 1, "fold": "cross_subject", "state": "running", "attempts": 1}', '2026-11-22 22:23:32.007059+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 7, 'run.epoch', '{"run_id": "run_01m82npzk8ncwr1sn5fndwcmsz", "seed": 1, "fold": "cross_subject", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 0.5}}', '2026-11-22 22:23:32.011237+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 8, 'run.state', '{"run_id": "run_01m82npzk8ncwr1sn5fndwcmsz", "seed": 1, "fold": "cross_subject", "state": "succeeded", "attempts": 1}', '2026-11-22 22:23:32.030046+00');
INSERT INTO public.event VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 9, 'job.state', '{"state": "succeeded"}', '2026-11-22 22:23:32.030154+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 2, 'run.state', '{"run_id": "run_01m82npzke46aj8cckphct6645", "seed": 0, "fold": "loso:1", "state": "running", "attempts": 1}', '2026-11-22 22:23:32.036314+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 3, 'job.state', '{"state": "running"}', '2026-11-22 22:23:32.036409+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 4, 'run.epoch', '{"run_id": "run_01m82npzke46aj8cckphct6645", "seed": 0, "fold": "loso:1", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 0.3333333333333333}}', '2026-11-22 22:23:32.041513+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 5, 'run.state', '{"run_id": "run_01m82npzke46aj8cckphct6645", "seed": 0, "fold": "loso:1", "state": "succeeded", "attempts": 1}', '2026-11-22 22:23:32.170978+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 6, 'run.state', '{"run_id": "run_01m82npzkf4m7ycyfsa3m10h4v", "seed": 0, "fold": "loso:2", "state": "running", "attempts": 1}', '2026-11-22 22:23:32.177095+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 7, 'run.epoch', '{"run_id": "run_01m82npzkf4m7ycyfsa3m10h4v", "seed": 0, "fold": "loso:2", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 0.25}}', '2026-11-22 22:23:32.182356+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 8, 'run.state', '{"run_id": "run_01m82npzkf4m7ycyfsa3m10h4v", "seed": 0, "fold": "loso:2", "state": "succeeded", "attempts": 1}', '2026-11-22 22:23:32.210862+00');
INSERT INTO public.event VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 9, 'job.state', '{"state": "succeeded"}', '2026-11-22 22:23:32.210979+00');
INSERT INTO public.event VALUES ('job_01m82npzvnzv9xgj1metzs1jhm', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:32.215011+00');
INSERT INTO public.event VALUES ('job_01m82npzvnzv9xgj1metzs1jhm', 2, 'run.state', '{"run_id": "run_01m82npzvrn7nvgcv14gxq6q5x", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}', '2026-11-22 22:23:32.223838+00');
INSERT INTO public.event VALUES ('job_01m82npzvnzv9xgj1metzs1jhm', 3, 'job.state', '{"state": "running"}', '2026-11-22 22:23:32.223944+00');
INSERT INTO public.event VALUES ('job_01m82npzvnzv9xgj1metzs1jhm', 4, 'run.state', '{"run_id": "run_01m82npzvrn7nvgcv14gxq6q5x", "seed": 0, "fold": "cross_subject", "state": "failed", "attempts": 1, "cause": "nan_loss", "detail": "student/ce is nan at step 3"}', '2026-11-22 22:23:32.23345+00');
INSERT INTO public.event VALUES ('job_01m82npzvnzv9xgj1metzs1jhm', 5, 'job.state', '{"state": "failed", "cause": "nan_loss", "detail": "student/ce is nan at step 3"}', '2026-11-22 22:23:32.233563+00');
INSERT INTO public.event VALUES ('job_01m82npzwbph2ww4r6gcjmypaq', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:32.237366+00');
INSERT INTO public.event VALUES ('job_01m82npzwbph2ww4r6gcjmypaq', 2, 'run.state', '{"run_id": "run_01m82npzwe2a2jyk04k6yyb9bd", "seed": 0, "fold": "cross_subject", "state": "cancelled", "attempts": 0}', '2026-11-22 22:23:32.249657+00');
INSERT INTO public.event VALUES ('job_01m82npzwbph2ww4r6gcjmypaq', 3, 'job.state', '{"state": "cancelled"}', '2026-11-22 22:23:32.249763+00');
INSERT INTO public.event VALUES ('job_01m82npzwvjr87atsf1c8ex6h8', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:32.253268+00');
INSERT INTO public.event VALUES ('job_01m82npzwvjr87atsf1c8ex6h8', 2, 'run.state', '{"run_id": "run_01m82npzwy86yn81dc7etw2hq2", "seed": 0, "fold": "cross_subject", "state": "paused", "attempts": 0}', '2026-11-22 22:23:32.262685+00');
INSERT INTO public.event VALUES ('job_01m82npzwvjr87atsf1c8ex6h8', 3, 'job.state', '{"state": "paused"}', '2026-11-22 22:23:32.262804+00');
INSERT INTO public.event VALUES ('job_01m82npzx9b237qte5jr8vhbj6', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:32.266569+00');
INSERT INTO public.event VALUES ('job_01m82npzx9b237qte5jr8vhbj6', 2, 'run.state', '{"run_id": "run_01m82npzxbwrzqa64f9r643vem", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}', '2026-11-22 22:23:32.275251+00');
INSERT INTO public.event VALUES ('job_01m82npzx9b237qte5jr8vhbj6', 3, 'job.state', '{"state": "running"}', '2026-11-22 22:23:32.275359+00');
INSERT INTO public.event VALUES ('job_01m82npzxp3rddfckv51n97bf2', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:32.279938+00');
INSERT INTO public.event VALUES ('job_01m82npzxp3rddfckv51n97bf2', 2, 'run.state', '{"run_id": "run_01m82npzxs1wf5r00kf6r723e0", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}', '2026-11-22 22:23:32.288247+00');
INSERT INTO public.event VALUES ('job_01m82npzxp3rddfckv51n97bf2', 3, 'job.state', '{"state": "running"}', '2026-11-22 22:23:32.28837+00');
INSERT INTO public.event VALUES ('job_01m82npzxp3rddfckv51n97bf2', 4, 'run.state', '{"run_id": "run_01m82npzxs1wf5r00kf6r723e0", "seed": 0, "fold": "cross_subject", "state": "retrying", "attempts": 1}', '2026-11-22 22:23:32.29842+00');
INSERT INTO public.event VALUES ('job_01m82npzxp3rddfckv51n97bf2', 5, 'job.state', '{"state": "retrying"}', '2026-11-22 22:23:32.298521+00');
INSERT INTO public.event VALUES ('job_01m82npzyc4evky35cnz5d3j9a', 1, 'job.state', '{"state": "queued"}', '2026-11-22 22:23:32.301712+00');
INSERT INTO public.event VALUES ('job_01m82npzym5snapazjd4rpnbbm', 1, 'job.state', '{"state": "validating"}', '2026-11-22 22:23:32.309337+00');


--
-- Data for Name: idempotency_key; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: job; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.job VALUES ('job_01m82npzk1aeg79ms6yhp6jktw', 'default', 'succeeded', 'succeeded', '{"name": "succeeded", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0, 1], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 0, 9, NULL, NULL, '2026-11-22 22:23:31.937752+00', '2026-11-22 22:23:31.962734+00', '2026-11-22 22:23:32.028429+00');
INSERT INTO public.job VALUES ('job_01m82npzkbhmar3vbezm94nnw1', 'default', 'pooled', 'succeeded', '{"name": "pooled", "dataset": "made", "protocol": {"kind": "loso", "subjects": null}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '128fbb3d23d0c4b8b3d9475a9e548a44f66c6ca43c4d6739874cfa31ff8429ac', 'ds_01m82npzjjm8d64q71xvm4gec4', 0, 9, NULL, NULL, '2026-11-22 22:23:31.948105+00', '2026-11-22 22:23:32.034944+00', '2026-11-22 22:23:32.208576+00');
INSERT INTO public.job VALUES ('job_01m82npzvnzv9xgj1metzs1jhm', 'default', 'failed', 'failed', '{"name": "failed", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 0, 5, 'nan_loss', 'student/ce is nan at step 3', '2026-11-22 22:23:32.213894+00', '2026-11-22 22:23:32.222307+00', '2026-11-22 22:23:32.229652+00');
INSERT INTO public.job VALUES ('job_01m82npzwbph2ww4r6gcjmypaq', 'default', 'cancelled', 'cancelled', '{"name": "cancelled", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 0, 3, NULL, NULL, '2026-11-22 22:23:32.23624+00', NULL, '2026-11-22 22:23:32.248203+00');
INSERT INTO public.job VALUES ('job_01m82npzwvjr87atsf1c8ex6h8', 'default', 'paused', 'paused', '{"name": "paused", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 0, 3, NULL, NULL, '2026-11-22 22:23:32.252282+00', NULL, NULL);
INSERT INTO public.job VALUES ('job_01m82npzx9b237qte5jr8vhbj6', 'default', 'running', 'running', '{"name": "running", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 2, 3, NULL, NULL, '2026-11-22 22:23:32.265502+00', '2026-11-22 22:23:32.273773+00', NULL);
INSERT INTO public.job VALUES ('job_01m82npzxp3rddfckv51n97bf2', 'default', 'retrying', 'retrying', '{"name": "retrying", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 1, 5, NULL, NULL, '2026-11-22 22:23:32.278836+00', '2026-11-22 22:23:32.286845+00', NULL);
INSERT INTO public.job VALUES ('job_01m82npzyc4evky35cnz5d3j9a', 'default', 'queued', 'queued', '{"name": "queued", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzjjm8d64q71xvm4gec4', 0, 1, NULL, NULL, '2026-11-22 22:23:32.300784+00', NULL, NULL);
INSERT INTO public.job VALUES ('job_01m82npzym5snapazjd4rpnbbm', 'default', 'validating', 'validating', '{"name": "validating", "dataset": "waiting", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}', '263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218', 'ds_01m82npzyg08hbd2nfdnz71m2r', 0, 1, NULL, NULL, '2026-11-22 22:23:32.308601+00', NULL, NULL);


--
-- Data for Name: metric; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.metric VALUES ('run_01m82npzk77e2f4ypbyd3rps13', 'student/ce', 0, 1, '2026-11-22 22:23:31.970473+00');
INSERT INTO public.metric VALUES ('run_01m82npzk8ncwr1sn5fndwcmsz', 'student/ce', 0, 0.5, '2026-11-22 22:23:32.00968+00');
INSERT INTO public.metric VALUES ('run_01m82npzke46aj8cckphct6645', 'student/ce', 0, 0.3333333333333333, '2026-11-22 22:23:32.039481+00');
INSERT INTO public.metric VALUES ('run_01m82npzkf4m7ycyfsa3m10h4v', 'student/ce', 0, 0.25, '2026-11-22 22:23:32.180293+00');


--
-- Data for Name: model; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.model VALUES ('mdl_01m82npzmpmpsjcrxkj8yz7bxb', 'default', 'succeeded', 2, '2026-11-22 22:23:31.991294+00');
INSERT INTO public.model VALUES ('mdl_01m82npzt36z1rz6vrj8hy0ptz', 'default', 'pooled', 2, '2026-11-22 22:23:32.164084+00');


--
-- Data for Name: model_alias; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.model_alias VALUES ('mdl_01m82npzmpmpsjcrxkj8yz7bxb', 'champion', 1, '2026-11-22 22:23:31.994099+00');
INSERT INTO public.model_alias VALUES ('mdl_01m82npzt36z1rz6vrj8hy0ptz', 'champion', 1, '2026-11-22 22:23:32.165944+00');


--
-- Data for Name: model_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.model_version VALUES ('mdl_01m82npzmpmpsjcrxkj8yz7bxb', 1, 'run_01m82npzk77e2f4ypbyd3rps13', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, '{"parameters": 1000, "macs": 3000000000}', 'made', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'cross_subject', '2026-11-22 22:23:31.995377+00');
INSERT INTO public.model_version VALUES ('mdl_01m82npzmpmpsjcrxkj8yz7bxb', 2, 'run_01m82npzk8ncwr1sn5fndwcmsz', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, '{"parameters": 1000, "macs": 3000000000}', 'made', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'cross_subject', '2026-11-22 22:23:32.024765+00');
INSERT INTO public.model_version VALUES ('mdl_01m82npzt36z1rz6vrj8hy0ptz', 1, 'run_01m82npzke46aj8cckphct6645', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, '{"parameters": 1000, "macs": 3000000000}', 'made', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'loso', '2026-11-22 22:23:32.166619+00');
INSERT INTO public.model_version VALUES ('mdl_01m82npzt36z1rz6vrj8hy0ptz', 2, 'run_01m82npzkf4m7ycyfsa3m10h4v', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, '{"parameters": 1000, "macs": 3000000000}', 'made', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'loso', '2026-11-22 22:23:32.196973+00');


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES (1, 'wake', 'io', '{"queue": "io"}', '2026-11-22 22:23:31.925449+00', '2026-11-22 22:23:31.92545+00', 0, NULL);
INSERT INTO public.outbox VALUES (2, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:31.94177+00', '2026-11-22 22:23:31.94177+00', 0, NULL);
INSERT INTO public.outbox VALUES (3, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:31.941772+00', '2026-11-22 22:23:31.941772+00', 0, NULL);
INSERT INTO public.outbox VALUES (4, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:31.94997+00', '2026-11-22 22:23:31.94997+00', 0, NULL);
INSERT INTO public.outbox VALUES (5, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:31.949972+00', '2026-11-22 22:23:31.949972+00', 0, NULL);
INSERT INTO public.outbox VALUES (6, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.215585+00', '2026-11-22 22:23:32.215586+00', 0, NULL);
INSERT INTO public.outbox VALUES (7, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.237915+00', '2026-11-22 22:23:32.237915+00', 0, NULL);
INSERT INTO public.outbox VALUES (8, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.253807+00', '2026-11-22 22:23:32.253807+00', 0, NULL);
INSERT INTO public.outbox VALUES (9, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.267126+00', '2026-11-22 22:23:32.267126+00', 0, NULL);
INSERT INTO public.outbox VALUES (10, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.280631+00', '2026-11-22 22:23:32.280631+00', 0, NULL);
INSERT INTO public.outbox VALUES (11, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.293153+00', '2026-11-22 22:23:32.293153+00', 0, NULL);
INSERT INTO public.outbox VALUES (12, 'wake', 'cpu', '{"queue": "cpu"}', '2026-11-22 22:23:32.302201+00', '2026-11-22 22:23:32.302201+00', 0, NULL);
INSERT INTO public.outbox VALUES (13, 'wake', 'io', '{"queue": "io"}', '2026-11-22 22:23:32.306582+00', '2026-11-22 22:23:32.306583+00', 0, NULL);
INSERT INTO public.outbox VALUES (14, 'mlflow', 'run_01m82npzk77e2f4ypbyd3rps13', '{"op": "state", "state": "succeeded"}', '2026-11-22 22:23:32.312234+00', '2026-11-22 22:23:32.312234+00', 0, NULL);


--
-- Data for Name: run; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run VALUES ('run_01m82npzk77e2f4ypbyd3rps13', 'default', 'job_01m82npzk1aeg79ms6yhp6jktw', 0, 'cross_subject', 0, 20, 0, 0, 'auto', 'succeeded', 'run', 1, 1, 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 1, '{"parameters": 1000, "macs": 3000000000}', '{"confusion": [[8, 2], [1, 9]]}', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, NULL, NULL, NULL, '2026-11-22 22:23:31.943876+00', '2026-11-22 22:23:31.95857+00', '2026-11-22 22:23:31.997256+00', 2, NULL, NULL, NULL, 1, 0);
INSERT INTO public.run VALUES ('run_01m82npzk8ncwr1sn5fndwcmsz', 'default', 'job_01m82npzk1aeg79ms6yhp6jktw', 1, 'cross_subject', 0, 20, 1, 0, 'auto', 'succeeded', 'run', 1, 1, 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 1, '{"parameters": 1000, "macs": 3000000000}', '{"confusion": [[8, 2], [1, 9]]}', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, NULL, NULL, NULL, '2026-11-22 22:23:31.944968+00', '2026-11-22 22:23:32.004732+00', '2026-11-22 22:23:32.025839+00', 2, NULL, NULL, NULL, 1, 0);
INSERT INTO public.run VALUES ('run_01m82npzke46aj8cckphct6645', 'default', 'job_01m82npzkbhmar3vbezm94nnw1', 0, 'loso:1', 0, 20, 0, 0, 'auto', 'succeeded', 'run', 1, 1, 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 1, '{"parameters": 1000, "macs": 3000000000}', '{"confusion": [[8, 2], [1, 9]]}', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, NULL, NULL, NULL, '2026-11-22 22:23:31.950695+00', '2026-11-22 22:23:32.032947+00', '2026-11-22 22:23:32.16782+00', 2, NULL, NULL, NULL, 1, 0);
INSERT INTO public.run VALUES ('run_01m82npzkf4m7ycyfsa3m10h4v', 'default', 'job_01m82npzkbhmar3vbezm94nnw1', 0, 'loso:2', 1, 20, 1, 0, 'auto', 'succeeded', 'run', 1, 1, 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 1, '{"parameters": 1000, "macs": 3000000000}', '{"confusion": [[8, 2], [1, 9]]}', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 4096, NULL, NULL, NULL, '2026-11-22 22:23:31.951247+00', '2026-11-22 22:23:32.174135+00', '2026-11-22 22:23:32.198227+00', 2, NULL, NULL, NULL, 1, 0);
INSERT INTO public.run VALUES ('run_01m82npzvrn7nvgcv14gxq6q5x', 'default', 'job_01m82npzvnzv9xgj1metzs1jhm', 0, 'cross_subject', 0, 20, 0, 0, 'auto', 'failed', 'run', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'nan_loss', 'student/ce is nan at step 3', '2026-11-22 22:23:32.216463+00', '2026-11-22 22:23:32.22002+00', '2026-11-22 22:23:32.227129+00', 2, NULL, NULL, NULL, 1, 1);
INSERT INTO public.run VALUES ('run_01m82npzwe2a2jyk04k6yyb9bd', 'default', 'job_01m82npzwbph2ww4r6gcjmypaq', 0, 'cross_subject', 0, 20, 0, 0, 'auto', 'cancelled', 'run', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-22 22:23:32.238843+00', NULL, '2026-11-22 22:23:32.245955+00', 1, NULL, NULL, NULL, 0, 0);
INSERT INTO public.run VALUES ('run_01m82npzwy86yn81dc7etw2hq2', 'default', 'job_01m82npzwvjr87atsf1c8ex6h8', 0, 'cross_subject', 0, 20, 0, 0, 'auto', 'paused', 'run', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-22 22:23:32.254484+00', NULL, NULL, 1, NULL, NULL, NULL, 0, 0);
INSERT INTO public.run VALUES ('run_01m82npzxbwrzqa64f9r643vem', 'default', 'job_01m82npzx9b237qte5jr8vhbj6', 0, 'cross_subject', 0, 20, 0, -2, 'auto', 'running', 'run', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-22 22:23:32.267877+00', '2026-11-22 22:23:32.271616+00', NULL, 1, 'worker-1', '2026-11-22 22:24:02.270369+00', NULL, 1, 1);
INSERT INTO public.run VALUES ('run_01m82npzxs1wf5r00kf6r723e0', 'default', 'job_01m82npzxp3rddfckv51n97bf2', 0, 'cross_subject', 0, 20, 0, -1, 'auto', 'retrying', 'run', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-22 22:23:32.281321+00', '2026-11-22 22:23:32.284795+00', NULL, 2, NULL, NULL, '2026-11-22 22:23:32.294667+00', 1, 1);
INSERT INTO public.run VALUES ('run_01m82npzyet8dgqvtpgs2v4a6a', 'default', 'job_01m82npzyc4evky35cnz5d3j9a', 0, 'cross_subject', 0, 20, 0, 0, 'auto', 'queued', 'run', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-22 22:23:32.303123+00', NULL, NULL, 0, NULL, NULL, '2026-11-22 22:23:32.303123+00', 0, 0);


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 14, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: configuration pk_configuration; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.configuration
    ADD CONSTRAINT pk_configuration PRIMARY KEY (id);


--
-- Name: configuration_result pk_configuration_result; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.configuration_result
    ADD CONSTRAINT pk_configuration_result PRIMARY KEY (configuration_id, seed, fold);


--
-- Name: dataset pk_dataset; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.dataset
    ADD CONSTRAINT pk_dataset PRIMARY KEY (id);


--
-- Name: event pk_event; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT pk_event PRIMARY KEY (job_id, seq);


--
-- Name: idempotency_key pk_idempotency_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_key
    ADD CONSTRAINT pk_idempotency_key PRIMARY KEY (tenant, key);


--
-- Name: job pk_job; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job
    ADD CONSTRAINT pk_job PRIMARY KEY (id);


--
-- Name: metric pk_metric; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric
    ADD CONSTRAINT pk_metric PRIMARY KEY (run_id, name, step);


--
-- Name: model pk_model; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model
    ADD CONSTRAINT pk_model PRIMARY KEY (id);


--
-- Name: model_alias pk_model_alias; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_alias
    ADD CONSTRAINT pk_model_alias PRIMARY KEY (model_id, alias);


--
-- Name: model_version pk_model_version; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_version
    ADD CONSTRAINT pk_model_version PRIMARY KEY (model_id, version);


--
-- Name: outbox pk_outbox; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT pk_outbox PRIMARY KEY (id);


--
-- Name: run pk_run; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT pk_run PRIMARY KEY (id);


--
-- Name: model uq_model_tenant_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model
    ADD CONSTRAINT uq_model_tenant_name UNIQUE (tenant, name);


--
-- Name: model_version uq_model_version_run_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_version
    ADD CONSTRAINT uq_model_version_run_id UNIQUE (run_id);


--
-- Name: run uq_run_job_id_seed_fold; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT uq_run_job_id_seed_fold UNIQUE (job_id, seed, fold);


--
-- Name: ix_configuration_accuracy; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_configuration_accuracy ON public.configuration USING btree (tenant, accuracy_mean, id);


--
-- Name: ix_configuration_macro_f1; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_configuration_macro_f1 ON public.configuration USING btree (tenant, macro_f1_mean, id);


--
-- Name: ix_configuration_result_run_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_configuration_result_run_id ON public.configuration_result USING btree (run_id);


--
-- Name: ix_dataset_claim; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_dataset_claim ON public.dataset USING btree (id) WHERE ((state)::text = 'validating'::text);


--
-- Name: ix_idempotency_key_created_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_idempotency_key_created_at ON public.idempotency_key USING btree (created_at);


--
-- Name: ix_job_dataset_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_job_dataset_id ON public.job USING btree (dataset_id);


--
-- Name: ix_job_tenant_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_job_tenant_id ON public.job USING btree (tenant, id);


--
-- Name: ix_outbox_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_outbox_due ON public.outbox USING btree (kind, key, id) WHERE (sent_at IS NULL);


--
-- Name: ix_run_claim; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_claim ON public.run USING btree (rank, created_at, job_id, "position") WHERE ((state)::text = ANY ((ARRAY['queued'::character varying, 'retrying'::character varying])::text[]));


--
-- Name: ix_run_lease; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_run_lease ON public.run USING btree (lease_expires_at) WHERE ((state)::text = 'running'::text);


--
-- Name: uq_dataset_tenant_name_live; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX uq_dataset_tenant_name_live ON public.dataset USING btree (tenant, name) WHERE ((state)::text <> 'failed'::text);


--
-- Name: configuration fk_configuration_dataset_id_dataset; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.configuration
    ADD CONSTRAINT fk_configuration_dataset_id_dataset FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);


--
-- Name: configuration_result fk_configuration_result_configuration_id_configuration; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.configuration_result
    ADD CONSTRAINT fk_configuration_result_configuration_id_configuration FOREIGN KEY (configuration_id) REFERENCES public.configuration(id) ON DELETE CASCADE;


--
-- Name: configuration_result fk_configuration_result_run_id_run; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.configuration_result
    ADD CONSTRAINT fk_configuration_result_run_id_run FOREIGN KEY (run_id) REFERENCES public.run(id);


--
-- Name: event fk_event_job_id_job; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT fk_event_job_id_job FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;


--
-- Name: job fk_job_dataset_id_dataset; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.job
    ADD CONSTRAINT fk_job_dataset_id_dataset FOREIGN KEY (dataset_id) REFERENCES public.dataset(id);


--
-- Name: metric fk_metric_run_id_run; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric
    ADD CONSTRAINT fk_metric_run_id_run FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;


--
-- Name: model_alias fk_model_alias_model_id_model; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_alias
    ADD CONSTRAINT fk_model_alias_model_id_model FOREIGN KEY (model_id) REFERENCES public.model(id) ON DELETE CASCADE;


--
-- Name: model_version fk_model_version_model_id_model; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_version
    ADD CONSTRAINT fk_model_version_model_id_model FOREIGN KEY (model_id) REFERENCES public.model(id) ON DELETE CASCADE;


--
-- Name: model_version fk_model_version_run_id_run; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_version
    ADD CONSTRAINT fk_model_version_run_id_run FOREIGN KEY (run_id) REFERENCES public.run(id);


--
-- Name: run fk_run_job_id_job; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT fk_run_job_id_job FOREIGN KEY (job_id) REFERENCES public.job(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

\unrestrict 3m10kmbNz8WZWcmtYGPAojF0H906LQ5kQsfbY2dEKA5Obs4UYDqYvkj0u1trxDz

