BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE configuration (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	configuration_hash TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	dataset_name TEXT NOT NULL, 
	dataset_digest TEXT NOT NULL, 
	spec JSON NOT NULL, 
	protocol TEXT NOT NULL, 
	method TEXT NOT NULL, 
	folds JSON NOT NULL, 
	n_seeds INTEGER NOT NULL, 
	n_incomplete_seeds INTEGER NOT NULL, 
	n_test INTEGER, 
	accuracy_mean DOUBLE, 
	accuracy_sd DOUBLE, 
	accuracy_low DOUBLE, 
	accuracy_high DOUBLE, 
	macro_f1_mean DOUBLE, 
	macro_f1_sd DOUBLE, 
	macro_f1_low DOUBLE, 
	macro_f1_high DOUBLE, 
	parameters BIGINT, 
	macs BIGINT, 
	bundle_bytes BIGINT, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_configuration PRIMARY KEY (id), 
	CONSTRAINT fk_configuration_dataset_id_dataset FOREIGN KEY(dataset_id) REFERENCES dataset (id)
);
INSERT INTO "configuration" VALUES('1fb41bc36495c7672a3ff1b7ef98e73380126f64ab8d7ebcd18b840a976b85f4','default','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep','made','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','{"name": "succeeded", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0, 1], "resources": {"device": "auto"}}','cross_subject','pskd','["cross_subject"]',2,0,20,0.85,0.0,0.85,0.85,0.849624060150376,0.0,0.849624060150376,0.849624060150376,1000,3000000000,4096,'2026-11-22 22:23:31.176000');
INSERT INTO "configuration" VALUES('cc406dced033c82c8ef71c950b9abc4ac347e94f9bc6b6381e567bbe54919b04','default','128fbb3d23d0c4b8b3d9475a9e548a44f66c6ca43c4d6739874cfa31ff8429ac','ds_01m82npys1rj2e4prd9n8x55ep','made','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','{"name": "pooled", "dataset": "made", "protocol": {"kind": "loso", "subjects": null}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','loso','pskd','["loso:1", "loso:2"]',1,0,40,0.85,NULL,NULL,NULL,0.849624060150376,NULL,NULL,NULL,1000,3000000000,4096,'2026-11-22 22:23:31.209000');
CREATE TABLE configuration_result (
	configuration_id TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	fold TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	accuracy DOUBLE NOT NULL, 
	macro_f1 DOUBLE NOT NULL, 
	n INTEGER NOT NULL, 
	confusion JSON NOT NULL, 
	CONSTRAINT pk_configuration_result PRIMARY KEY (configuration_id, seed, fold), 
	CONSTRAINT fk_configuration_result_configuration_id_configuration FOREIGN KEY(configuration_id) REFERENCES configuration (id) ON DELETE CASCADE, 
	CONSTRAINT fk_configuration_result_run_id_run FOREIGN KEY(run_id) REFERENCES run (id)
);
INSERT INTO "configuration_result" VALUES('1fb41bc36495c7672a3ff1b7ef98e73380126f64ab8d7ebcd18b840a976b85f4',0,'cross_subject','run_01m82npyshhfs7rvxpceq9h2v9',0.85,0.849624060150376,20,'[[8, 2], [1, 9]]');
INSERT INTO "configuration_result" VALUES('1fb41bc36495c7672a3ff1b7ef98e73380126f64ab8d7ebcd18b840a976b85f4',1,'cross_subject','run_01m82npysjpphqt5gemdawwbyt',0.85,0.849624060150376,20,'[[8, 2], [1, 9]]');
INSERT INTO "configuration_result" VALUES('cc406dced033c82c8ef71c950b9abc4ac347e94f9bc6b6381e567bbe54919b04',0,'loso:1','run_01m82npyspx5sej9dke8mxsyb6',0.85,0.849624060150376,20,'[[8, 2], [1, 9]]');
INSERT INTO "configuration_result" VALUES('cc406dced033c82c8ef71c950b9abc4ac347e94f9bc6b6381e567bbe54919b04',0,'loso:2','run_01m82npysprwjgavq2e85dk6mw',0.85,0.849624060150376,20,'[[8, 2], [1, 9]]');
CREATE TABLE dataset (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	source JSON NOT NULL, 
	upload_digest TEXT, 
	report JSON, 
	content_digest TEXT, 
	tree_digest TEXT, 
	cause TEXT, 
	detail TEXT, 
	created_at DATETIME NOT NULL, 
	token INTEGER NOT NULL, 
	worker TEXT, 
	lease_expires_at DATETIME, 
	queued_at DATETIME, 
	attempts INTEGER NOT NULL, 
	stalled_attempts INTEGER NOT NULL, 
	CONSTRAINT pk_dataset PRIMARY KEY (id)
);
INSERT INTO "dataset" VALUES('ds_01m82npys1rj2e4prd9n8x55ep','default','made','ready','{"kind": "synthetic"}',NULL,'{"recordings": 20}','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','7777777777777777777777777777777777777777777777777777777777777777',NULL,NULL,'2026-11-22 22:23:31.106000',2,NULL,NULL,NULL,1,1);
INSERT INTO "dataset" VALUES('ds_01m82npyxq5fwmhsrk0y2nsn4g','default','waiting','validating','{"kind": "synthetic"}',NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-22 22:23:31.255000',0,NULL,NULL,'2026-11-22 22:23:31.255000',0,0);
CREATE TABLE event (
	job_id TEXT NOT NULL, 
	seq INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	data JSON NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_event PRIMARY KEY (job_id, seq), 
	CONSTRAINT fk_event_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.119000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.125000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',2,'run.state','{"run_id": "run_01m82npyshhfs7rvxpceq9h2v9", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}','2026-11-22 22:23:31.137000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',3,'job.state','{"state": "running"}','2026-11-22 22:23:31.137000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',4,'run.epoch','{"run_id": "run_01m82npyshhfs7rvxpceq9h2v9", "seed": 0, "fold": "cross_subject", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 1.0}}','2026-11-22 22:23:31.143000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',5,'run.state','{"run_id": "run_01m82npyshhfs7rvxpceq9h2v9", "seed": 0, "fold": "cross_subject", "state": "succeeded", "attempts": 1}','2026-11-22 22:23:31.166000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',6,'run.state','{"run_id": "run_01m82npysjpphqt5gemdawwbyt", "seed": 1, "fold": "cross_subject", "state": "running", "attempts": 1}','2026-11-22 22:23:31.169000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',7,'run.epoch','{"run_id": "run_01m82npysjpphqt5gemdawwbyt", "seed": 1, "fold": "cross_subject", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 0.5}}','2026-11-22 22:23:31.172000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',8,'run.state','{"run_id": "run_01m82npysjpphqt5gemdawwbyt", "seed": 1, "fold": "cross_subject", "state": "succeeded", "attempts": 1}','2026-11-22 22:23:31.186000');
INSERT INTO "event" VALUES('job_01m82npysd2ap75k4eamxf327e',9,'job.state','{"state": "succeeded"}','2026-11-22 22:23:31.186000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',2,'run.state','{"run_id": "run_01m82npyspx5sej9dke8mxsyb6", "seed": 0, "fold": "loso:1", "state": "running", "attempts": 1}','2026-11-22 22:23:31.188000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',3,'job.state','{"state": "running"}','2026-11-22 22:23:31.188000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',4,'run.epoch','{"run_id": "run_01m82npyspx5sej9dke8mxsyb6", "seed": 0, "fold": "loso:1", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 0.3333333333333333}}','2026-11-22 22:23:31.190000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',5,'run.state','{"run_id": "run_01m82npyspx5sej9dke8mxsyb6", "seed": 0, "fold": "loso:1", "state": "succeeded", "attempts": 1}','2026-11-22 22:23:31.198000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',6,'run.state','{"run_id": "run_01m82npysprwjgavq2e85dk6mw", "seed": 0, "fold": "loso:2", "state": "running", "attempts": 1}','2026-11-22 22:23:31.201000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',7,'run.epoch','{"run_id": "run_01m82npysprwjgavq2e85dk6mw", "seed": 0, "fold": "loso:2", "epoch": 0, "epochs": 1, "phase": "student", "metrics": {"student/ce": 0.25}}','2026-11-22 22:23:31.204000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',8,'run.state','{"run_id": "run_01m82npysprwjgavq2e85dk6mw", "seed": 0, "fold": "loso:2", "state": "succeeded", "attempts": 1}','2026-11-22 22:23:31.212000');
INSERT INTO "event" VALUES('job_01m82npysmnv4wepw6wxf6p1qn',9,'job.state','{"state": "succeeded"}','2026-11-22 22:23:31.212000');
INSERT INTO "event" VALUES('job_01m82npywd36ragnx5hx4ys12m',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.214000');
INSERT INTO "event" VALUES('job_01m82npywd36ragnx5hx4ys12m',2,'run.state','{"run_id": "run_01m82npywe330e8ymgyf6c9g4r", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}','2026-11-22 22:23:31.217000');
INSERT INTO "event" VALUES('job_01m82npywd36ragnx5hx4ys12m',3,'job.state','{"state": "running"}','2026-11-22 22:23:31.217000');
INSERT INTO "event" VALUES('job_01m82npywd36ragnx5hx4ys12m',4,'run.state','{"run_id": "run_01m82npywe330e8ymgyf6c9g4r", "seed": 0, "fold": "cross_subject", "state": "failed", "attempts": 1, "cause": "nan_loss", "detail": "student/ce is nan at step 3"}','2026-11-22 22:23:31.221000');
INSERT INTO "event" VALUES('job_01m82npywd36ragnx5hx4ys12m',5,'job.state','{"state": "failed", "cause": "nan_loss", "detail": "student/ce is nan at step 3"}','2026-11-22 22:23:31.221000');
INSERT INTO "event" VALUES('job_01m82npywpdnjdrmtjyp8cmcv0',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.223000');
INSERT INTO "event" VALUES('job_01m82npywpdnjdrmtjyp8cmcv0',2,'run.state','{"run_id": "run_01m82npywqyvd9j6snvxyx2cfd", "seed": 0, "fold": "cross_subject", "state": "cancelled", "attempts": 0}','2026-11-22 22:23:31.233000');
INSERT INTO "event" VALUES('job_01m82npywpdnjdrmtjyp8cmcv0',3,'job.state','{"state": "cancelled"}','2026-11-22 22:23:31.233000');
INSERT INTO "event" VALUES('job_01m82npyx2qnxjtwc812ama5hh',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.234000');
INSERT INTO "event" VALUES('job_01m82npyx2qnxjtwc812ama5hh',2,'run.state','{"run_id": "run_01m82npyx3337bznvgd04rap9m", "seed": 0, "fold": "cross_subject", "state": "paused", "attempts": 0}','2026-11-22 22:23:31.238000');
INSERT INTO "event" VALUES('job_01m82npyx2qnxjtwc812ama5hh',3,'job.state','{"state": "paused"}','2026-11-22 22:23:31.238000');
INSERT INTO "event" VALUES('job_01m82npyx7akv9nzjzqwg6wxj7',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.240000');
INSERT INTO "event" VALUES('job_01m82npyx7akv9nzjzqwg6wxj7',2,'run.state','{"run_id": "run_01m82npyx8a68swh9b12ktmbqr", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}','2026-11-22 22:23:31.243000');
INSERT INTO "event" VALUES('job_01m82npyx7akv9nzjzqwg6wxj7',3,'job.state','{"state": "running"}','2026-11-22 22:23:31.243000');
INSERT INTO "event" VALUES('job_01m82npyxcy4aq04j1gg8agw8a',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.245000');
INSERT INTO "event" VALUES('job_01m82npyxcy4aq04j1gg8agw8a',2,'run.state','{"run_id": "run_01m82npyxdyf1n8kewsy8h99r9", "seed": 0, "fold": "cross_subject", "state": "running", "attempts": 1}','2026-11-22 22:23:31.248000');
INSERT INTO "event" VALUES('job_01m82npyxcy4aq04j1gg8agw8a',3,'job.state','{"state": "running"}','2026-11-22 22:23:31.248000');
INSERT INTO "event" VALUES('job_01m82npyxcy4aq04j1gg8agw8a',4,'run.state','{"run_id": "run_01m82npyxdyf1n8kewsy8h99r9", "seed": 0, "fold": "cross_subject", "state": "retrying", "attempts": 1}','2026-11-22 22:23:31.253000');
INSERT INTO "event" VALUES('job_01m82npyxcy4aq04j1gg8agw8a',5,'job.state','{"state": "retrying"}','2026-11-22 22:23:31.253000');
INSERT INTO "event" VALUES('job_01m82npyxp0xr07xq75agparam',1,'job.state','{"state": "queued"}','2026-11-22 22:23:31.254000');
INSERT INTO "event" VALUES('job_01m82npyxszamrg7ycyh87mk87',1,'job.state','{"state": "validating"}','2026-11-22 22:23:31.257000');
CREATE TABLE idempotency_key (
	tenant TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	answer JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_idempotency_key PRIMARY KEY (tenant, "key")
);
CREATE TABLE job (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	spec JSON NOT NULL, 
	configuration_hash TEXT NOT NULL, 
	dataset_id TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	event_seq INTEGER NOT NULL, 
	cause TEXT, 
	detail TEXT, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	CONSTRAINT pk_job PRIMARY KEY (id), 
	CONSTRAINT fk_job_dataset_id_dataset FOREIGN KEY(dataset_id) REFERENCES dataset (id)
);
INSERT INTO "job" VALUES('job_01m82npysd2ap75k4eamxf327e','default','succeeded','succeeded','{"name": "succeeded", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0, 1], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',0,9,NULL,NULL,'2026-11-22 22:23:31.118000','2026-11-22 22:23:31.134000','2026-11-22 22:23:31.185000');
INSERT INTO "job" VALUES('job_01m82npysmnv4wepw6wxf6p1qn','default','pooled','succeeded','{"name": "pooled", "dataset": "made", "protocol": {"kind": "loso", "subjects": null}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','128fbb3d23d0c4b8b3d9475a9e548a44f66c6ca43c4d6739874cfa31ff8429ac','ds_01m82npys1rj2e4prd9n8x55ep',0,9,NULL,NULL,'2026-11-22 22:23:31.124000','2026-11-22 22:23:31.188000','2026-11-22 22:23:31.212000');
INSERT INTO "job" VALUES('job_01m82npywd36ragnx5hx4ys12m','default','failed','failed','{"name": "failed", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',0,5,'nan_loss','student/ce is nan at step 3','2026-11-22 22:23:31.213000','2026-11-22 22:23:31.216000','2026-11-22 22:23:31.219000');
INSERT INTO "job" VALUES('job_01m82npywpdnjdrmtjyp8cmcv0','default','cancelled','cancelled','{"name": "cancelled", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',0,3,NULL,NULL,'2026-11-22 22:23:31.222000',NULL,'2026-11-22 22:23:31.232000');
INSERT INTO "job" VALUES('job_01m82npyx2qnxjtwc812ama5hh','default','paused','paused','{"name": "paused", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',0,3,NULL,NULL,'2026-11-22 22:23:31.234000',NULL,NULL);
INSERT INTO "job" VALUES('job_01m82npyx7akv9nzjzqwg6wxj7','default','running','running','{"name": "running", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',2,3,NULL,NULL,'2026-11-22 22:23:31.239000','2026-11-22 22:23:31.242000',NULL);
INSERT INTO "job" VALUES('job_01m82npyxcy4aq04j1gg8agw8a','default','retrying','retrying','{"name": "retrying", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',1,5,NULL,NULL,'2026-11-22 22:23:31.244000','2026-11-22 22:23:31.248000',NULL);
INSERT INTO "job" VALUES('job_01m82npyxp0xr07xq75agparam','default','queued','queued','{"name": "queued", "dataset": "made", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npys1rj2e4prd9n8x55ep',0,1,NULL,NULL,'2026-11-22 22:23:31.254000',NULL,NULL);
INSERT INTO "job" VALUES('job_01m82npyxszamrg7ycyh87mk87','default','validating','validating','{"name": "validating", "dataset": "waiting", "protocol": {"kind": "named", "name": "cross_subject"}, "validation": {"kind": "none"}, "test": "report", "method": {"kind": "distill", "teachers": [{"inputs": ["skeleton"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "skeleton"}, {"inputs": ["skeleton", "accelerometer"], "backbone": {"kind": "agcn", "width": 16, "depth": 8, "temporal_kernel": 9, "dropout": 0.0, "fusion": "channel"}, "name": "fusion"}], "loss": {"kind": "pskd", "alpha": 0.5, "beta": 0.5, "gamma": 1.0, "temperature": 4.0, "soft_target": {"teachers": null, "reduction": "mean", "temperature_squared": true}, "weighting": {"kind": "acs", "gate": "correct", "select": "soft", "renormalise": true, "confidence_temperature": 1.0}, "multi_teacher": {"target": "soft", "fallback": "none"}, "feature": {"reduction": "mean", "gated": false, "l2_normalised": false}}, "schedule": {"kind": "progressive", "epochs_per_round": 1}}, "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d", "width": 32, "blocks": [1, 1, 1], "kernel": 7, "dropout": 0.2, "magnitude": false}}, "feature_dim": 128, "preprocess": {"skeleton_frames": 64, "sensor_frames": 128}, "augment": {"sensor_rotation_deg": 10.0, "skeleton_rotation_deg": 15.0, "scale_sd": 0.1, "time_warp": 0.2, "time_crop": 0.1, "sensor_noise_sd": 0.03, "joint_noise_m": 0.005}, "training": {"epochs": 60, "batch_size": 32, "label_smoothing": 0.1, "teacher": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "student": {"learning_rate": 0.002, "weight_decay": 0.01, "warmup_epochs": 3.0, "gradient_clip_norm": 5.0}, "ema_decay": 0.99, "threads": 1, "precision": "fp32"}, "seeds": [0], "resources": {"device": "auto"}}','263cd23786000748ee68808a39cda1105999fc15cd431cdeccaeeb3a35b4a218','ds_01m82npyxq5fwmhsrk0y2nsn4g',0,1,NULL,NULL,'2026-11-22 22:23:31.257000',NULL,NULL);
CREATE TABLE metric (
	run_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	value DOUBLE NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_metric PRIMARY KEY (run_id, name, step), 
	CONSTRAINT fk_metric_run_id_run FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "metric" VALUES('run_01m82npyshhfs7rvxpceq9h2v9','student/ce',0,1.0,'2026-11-22 22:23:31.141000');
INSERT INTO "metric" VALUES('run_01m82npysjpphqt5gemdawwbyt','student/ce',0,0.5,'2026-11-22 22:23:31.171000');
INSERT INTO "metric" VALUES('run_01m82npyspx5sej9dke8mxsyb6','student/ce',0,3.33333333333333314829e-01,'2026-11-22 22:23:31.190000');
INSERT INTO "metric" VALUES('run_01m82npysprwjgavq2e85dk6mw','student/ce',0,0.25,'2026-11-22 22:23:31.203000');
CREATE TABLE model (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	name TEXT NOT NULL, 
	last_version INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_model PRIMARY KEY (id), 
	CONSTRAINT uq_model_tenant_name UNIQUE (tenant, name)
);
INSERT INTO "model" VALUES('mdl_01m82npytkh0gqmt5pecvp1hf2','default','succeeded',2,'2026-11-22 22:23:31.156000');
INSERT INTO "model" VALUES('mdl_01m82npyvv2hsr79bmqdtxj1bv','default','pooled',2,'2026-11-22 22:23:31.195000');
CREATE TABLE model_alias (
	model_id TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_model_alias PRIMARY KEY (model_id, alias), 
	CONSTRAINT fk_model_alias_model_id_model FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE
);
INSERT INTO "model_alias" VALUES('mdl_01m82npytkh0gqmt5pecvp1hf2','champion',1,'2026-11-22 22:23:31.161000');
INSERT INTO "model_alias" VALUES('mdl_01m82npyvv2hsr79bmqdtxj1bv','champion',1,'2026-11-22 22:23:31.196000');
CREATE TABLE model_version (
	model_id TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	bundle_digest TEXT NOT NULL, 
	bundle_bytes BIGINT NOT NULL, 
	metrics JSON NOT NULL, 
	dataset_name TEXT NOT NULL, 
	dataset_digest TEXT NOT NULL, 
	protocol TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_model_version PRIMARY KEY (model_id, version), 
	CONSTRAINT fk_model_version_model_id_model FOREIGN KEY(model_id) REFERENCES model (id) ON DELETE CASCADE, 
	CONSTRAINT fk_model_version_run_id_run FOREIGN KEY(run_id) REFERENCES run (id), 
	CONSTRAINT uq_model_version_run_id UNIQUE (run_id)
);
INSERT INTO "model_version" VALUES('mdl_01m82npytkh0gqmt5pecvp1hf2',1,'run_01m82npyshhfs7rvxpceq9h2v9','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,'{"parameters": 1000, "macs": 3000000000}','made','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','cross_subject','2026-11-22 22:23:31.162000');
INSERT INTO "model_version" VALUES('mdl_01m82npytkh0gqmt5pecvp1hf2',2,'run_01m82npysjpphqt5gemdawwbyt','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,'{"parameters": 1000, "macs": 3000000000}','made','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','cross_subject','2026-11-22 22:23:31.178000');
INSERT INTO "model_version" VALUES('mdl_01m82npyvv2hsr79bmqdtxj1bv',1,'run_01m82npyspx5sej9dke8mxsyb6','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,'{"parameters": 1000, "macs": 3000000000}','made','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','loso','2026-11-22 22:23:31.196000');
INSERT INTO "model_version" VALUES('mdl_01m82npyvv2hsr79bmqdtxj1bv',2,'run_01m82npysprwjgavq2e85dk6mw','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,'{"parameters": 1000, "macs": 3000000000}','made','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','loso','2026-11-22 22:23:31.210000');
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	payload JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	available_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	sent_at DATETIME, 
	CONSTRAINT pk_outbox PRIMARY KEY (id)
);
INSERT INTO "outbox" VALUES(1,'wake','io','{"queue": "io"}','2026-11-22 22:23:31.107000','2026-11-22 22:23:31.107000',0,NULL);
INSERT INTO "outbox" VALUES(2,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.120000','2026-11-22 22:23:31.120000',0,NULL);
INSERT INTO "outbox" VALUES(3,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.120000','2026-11-22 22:23:31.120000',0,NULL);
INSERT INTO "outbox" VALUES(4,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.125000','2026-11-22 22:23:31.125000',0,NULL);
INSERT INTO "outbox" VALUES(5,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.125000','2026-11-22 22:23:31.125000',0,NULL);
INSERT INTO "outbox" VALUES(6,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.214000','2026-11-22 22:23:31.214000',0,NULL);
INSERT INTO "outbox" VALUES(7,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.223000','2026-11-22 22:23:31.223000',0,NULL);
INSERT INTO "outbox" VALUES(8,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.235000','2026-11-22 22:23:31.235000',0,NULL);
INSERT INTO "outbox" VALUES(9,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.240000','2026-11-22 22:23:31.240000',0,NULL);
INSERT INTO "outbox" VALUES(10,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.245000','2026-11-22 22:23:31.245000',0,NULL);
INSERT INTO "outbox" VALUES(11,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.251000','2026-11-22 22:23:31.251000',0,NULL);
INSERT INTO "outbox" VALUES(12,'wake','cpu','{"queue": "cpu"}','2026-11-22 22:23:31.254000','2026-11-22 22:23:31.254000',0,NULL);
INSERT INTO "outbox" VALUES(13,'wake','io','{"queue": "io"}','2026-11-22 22:23:31.256000','2026-11-22 22:23:31.256000',0,NULL);
INSERT INTO "outbox" VALUES(14,'mlflow','run_01m82npyshhfs7rvxpceq9h2v9','{"op": "state", "state": "succeeded"}','2026-11-22 22:23:31.258000','2026-11-22 22:23:31.258000',0,NULL);
CREATE TABLE run (
	id TEXT NOT NULL, 
	tenant TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	seed INTEGER NOT NULL, 
	fold TEXT NOT NULL, 
	fold_index INTEGER NOT NULL, 
	n_test INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	rank INTEGER NOT NULL, 
	device TEXT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	wanted VARCHAR(16) NOT NULL, 
	epoch INTEGER NOT NULL, 
	epochs INTEGER, 
	checkpoint_digest TEXT, 
	checkpoint_epoch INTEGER, 
	result JSON, 
	report JSON, 
	predictions_digest TEXT, 
	bundle_digest TEXT, 
	bundle_bytes BIGINT, 
	tracking_id TEXT, 
	cause TEXT, 
	detail TEXT, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	token INTEGER NOT NULL, 
	worker TEXT, 
	lease_expires_at DATETIME, 
	queued_at DATETIME, 
	attempts INTEGER NOT NULL, 
	stalled_attempts INTEGER NOT NULL, 
	CONSTRAINT pk_run PRIMARY KEY (id), 
	CONSTRAINT fk_run_job_id_job FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE, 
	CONSTRAINT uq_run_job_id_seed_fold UNIQUE (job_id, seed, fold)
);
INSERT INTO "run" VALUES('run_01m82npyshhfs7rvxpceq9h2v9','default','job_01m82npysd2ap75k4eamxf327e',0,'cross_subject',0,20,0,0,'auto','succeeded','run',1,1,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1,'{"parameters": 1000, "macs": 3000000000}','{"confusion": [[8, 2], [1, 9]]}','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,NULL,NULL,NULL,'2026-11-22 22:23:31.122000','2026-11-22 22:23:31.131000','2026-11-22 22:23:31.164000',2,NULL,NULL,NULL,1,0);
INSERT INTO "run" VALUES('run_01m82npysjpphqt5gemdawwbyt','default','job_01m82npysd2ap75k4eamxf327e',1,'cross_subject',0,20,1,0,'auto','succeeded','run',1,1,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1,'{"parameters": 1000, "macs": 3000000000}','{"confusion": [[8, 2], [1, 9]]}','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,NULL,NULL,NULL,'2026-11-22 22:23:31.122000','2026-11-22 22:23:31.167000','2026-11-22 22:23:31.178000',2,NULL,NULL,NULL,1,0);
INSERT INTO "run" VALUES('run_01m82npyspx5sej9dke8mxsyb6','default','job_01m82npysmnv4wepw6wxf6p1qn',0,'loso:1',0,20,0,0,'auto','succeeded','run',1,1,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1,'{"parameters": 1000, "macs": 3000000000}','{"confusion": [[8, 2], [1, 9]]}','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,NULL,NULL,NULL,'2026-11-22 22:23:31.126000','2026-11-22 22:23:31.187000','2026-11-22 22:23:31.196000',2,NULL,NULL,NULL,1,0);
INSERT INTO "run" VALUES('run_01m82npysprwjgavq2e85dk6mw','default','job_01m82npysmnv4wepw6wxf6p1qn',0,'loso:2',1,20,1,0,'auto','succeeded','run',1,1,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1,'{"parameters": 1000, "macs": 3000000000}','{"confusion": [[8, 2], [1, 9]]}','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',4096,NULL,NULL,NULL,'2026-11-22 22:23:31.126000','2026-11-22 22:23:31.200000','2026-11-22 22:23:31.211000',2,NULL,NULL,NULL,1,0);
INSERT INTO "run" VALUES('run_01m82npywe330e8ymgyf6c9g4r','default','job_01m82npywd36ragnx5hx4ys12m',0,'cross_subject',0,20,0,0,'auto','failed','run',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'nan_loss','student/ce is nan at step 3','2026-11-22 22:23:31.214000','2026-11-22 22:23:31.215000','2026-11-22 22:23:31.218000',2,NULL,NULL,NULL,1,1);
INSERT INTO "run" VALUES('run_01m82npywqyvd9j6snvxyx2cfd','default','job_01m82npywpdnjdrmtjyp8cmcv0',0,'cross_subject',0,20,0,0,'auto','cancelled','run',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-22 22:23:31.223000',NULL,'2026-11-22 22:23:31.230000',1,NULL,NULL,NULL,0,0);
INSERT INTO "run" VALUES('run_01m82npyx3337bznvgd04rap9m','default','job_01m82npyx2qnxjtwc812ama5hh',0,'cross_subject',0,20,0,0,'auto','paused','run',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-22 22:23:31.235000',NULL,NULL,1,NULL,NULL,NULL,0,0);
INSERT INTO "run" VALUES('run_01m82npyx8a68swh9b12ktmbqr','default','job_01m82npyx7akv9nzjzqwg6wxj7',0,'cross_subject',0,20,0,-2,'auto','running','run',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-22 22:23:31.240000','2026-11-22 22:23:31.241000',NULL,1,'worker-1','2026-11-22 22:24:01.241000',NULL,1,1);
INSERT INTO "run" VALUES('run_01m82npyxdyf1n8kewsy8h99r9','default','job_01m82npyxcy4aq04j1gg8agw8a',0,'cross_subject',0,20,0,-1,'auto','retrying','run',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-22 22:23:31.245000','2026-11-22 22:23:31.247000',NULL,2,NULL,NULL,'2026-11-22 22:23:31.251000',1,1);
INSERT INTO "run" VALUES('run_01m82npyxphjdmyxkp1w33b9ak','default','job_01m82npyxp0xr07xq75agparam',0,'cross_subject',0,20,0,0,'auto','queued','run',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-22 22:23:31.255000',NULL,NULL,0,NULL,NULL,'2026-11-22 22:23:31.255000',0,0);
CREATE INDEX ix_dataset_claim ON dataset (id) WHERE state = 'validating';
CREATE UNIQUE INDEX uq_dataset_tenant_name_live ON dataset (tenant, name) WHERE state <> 'failed';
CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at);
CREATE INDEX ix_outbox_due ON outbox (kind, "key", id) WHERE sent_at IS NULL;
CREATE INDEX ix_configuration_accuracy ON configuration (tenant, accuracy_mean, id);
CREATE INDEX ix_configuration_macro_f1 ON configuration (tenant, macro_f1_mean, id);
CREATE INDEX ix_job_dataset_id ON job (dataset_id);
CREATE INDEX ix_job_tenant_id ON job (tenant, id);
CREATE INDEX ix_run_claim ON run (rank, created_at, job_id, position) WHERE state IN ('queued', 'retrying');
CREATE INDEX ix_run_lease ON run (lease_expires_at) WHERE state = 'running';
CREATE INDEX ix_configuration_result_run_id ON configuration_result (run_id);
COMMIT;
