# The decision as a whole: complete requests, the order of reasons, and that obligations add up.
package companyos.documents_test

import rego.v1

import data.companyos.documents

request := {
	"subject": {"id": "ana", "type": "user", "attributes": {"clearance": "high"}},
	"action": "read",
	"resource": {
		"id": "doc-123",
		"type": "document",
		"owner": "ben",
		"region": "eu",
		"contains_pii": true,
		"required_clearance": "medium",
		"sensitivity": "low",
	},
	"environment": {"ip": "10.1.2.3", "device_trust": "managed", "time": "2026-02-15T10:00:00Z", "auth_strength": "password"},
	"context": {},
}

decided(asked) := found if {
	found := documents.decision with input as asked
}

# The request with the fields at these paths replaced.
changed(fields) := json.patch(request, [{"op": "replace", "path": path, "value": value} | value := fields[path]])

parts := ["/subject", "/subject/id", "/subject/type", "/action", "/resource", "/resource/id", "/resource/type"]

test_a_cleared_subject_reads_in_the_eu if {
	decided(request) == {"decision": "allow", "reason": "documents.allowed", "obligations": []}
}

test_a_service_reads_too if {
	decided(changed({"/subject/type": "service"})).decision == "allow"
}

test_nothing_is_allowed_without_a_request if {
	decided({}) == {"decision": "deny", "reason": "request.incomplete", "obligations": []}
}

test_each_part_of_the_request_is_needed if {
	found := {decided(json.patch(request, [{"op": "remove", "path": part}])).reason | some part in parts}
	found == {"request.incomplete"}
}

test_a_part_of_another_type_is_as_good_as_none if {
	found := {decided(changed({part: value})).reason |
		some part in parts
		some value in [null, true, 7, "", [], {}]
	}
	found == {"request.incomplete"}
}

test_an_action_that_nobody_has_thought_of_is_denied if {
	decided(changed({"/action": "print"})).reason == "request.incomplete"
}

test_residency_comes_before_approval_and_clearance if {
	decided(changed({"/action": "export", "/resource/region": "us", "/subject/attributes/clearance": "low"})) == {
		"decision": "deny",
		"reason": "residency.eu",
		"obligations": [{"id": "require_approval", "policy": "export.approval", "kind": "export"}],
	}
}

test_approval_comes_before_clearance if {
	decided(changed({"/action": "export", "/subject/attributes/clearance": "low"})).reason == "export.approval"
}

test_clearance_is_a_reason_of_its_own if {
	decided(changed({"/action": "write", "/subject/attributes/clearance": "low"})) == {
		"decision": "deny",
		"reason": "dlp.clearance",
		"obligations": [],
	}
}

test_without_clearance_the_type_must_be_known_for_masking if {
	decided(changed({"/resource/type": "blueprint", "/subject/attributes/clearance": "low"})) == {
		"decision": "deny",
		"reason": "dlp.redaction",
		"obligations": [],
	}
}

test_masking_and_a_second_factor_add_up if {
	decided(changed({
		"/resource/sensitivity": "high",
		"/resource/type": "account",
		"/subject/attributes/clearance": "low",
	})) == {
		"decision": "allow",
		"reason": "stepup.mfa",
		"obligations": [
			{"id": "require_mfa", "policy": "stepup.mfa"},
			{"id": "mask_fields", "policy": "dlp.redaction", "fields": ["iban", "balance"]},
		],
	}
}

test_an_approved_export_is_logged if {
	decided(changed({"/action": "export", "/context": {"approval_ticket": "CHG-1"}})) == {
		"decision": "allow",
		"reason": "export.approval",
		"obligations": [{
			"id": "log_event",
			"policy": "export.approval",
			"event": "export",
			"ticket": "CHG-1",
			"subject": "ana",
			"resource": "doc-123",
		}],
	}
}

test_a_denial_without_a_place_in_the_order_denies if {
	asked := request
	found := documents.decision with input as asked with data.companyos.documents.denied as {"new.rule"}
	found.decision == "deny"
}
