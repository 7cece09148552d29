package companyos.documents.stepup_test

import rego.v1

import data.companyos.documents.stepup

demand := {{"id": "require_mfa", "policy": "stepup.mfa"}}

demanded(action, resource, environment) := found if {
	found := stepup.obligations with input as {"action": action, "resource": resource, "environment": environment}
}

test_deleting_and_transferring_need_a_second_factor if {
	every action in ["delete", "transfer"] {
		demanded(action, {"sensitivity": "low"}, {"auth_strength": "password"}) == demand
	}
}

test_something_sensitive_needs_one_for_every_action if {
	every action in ["read", "write", "export"] {
		demanded(action, {"sensitivity": "high"}, {"auth_strength": "password"}) == demand
	}
}

test_ordinary_work_needs_none if {
	found := {demanded(action, {"sensitivity": sensitivity}, {"auth_strength": "password"}) |
		some action in ["read", "write", "export"]
		some sensitivity in ["low", "medium"]
	}
	found == {set()}
}

test_who_has_used_one_is_asked_for_nothing if {
	every action in ["read", "delete", "transfer"] {
		demanded(action, {"sensitivity": "high"}, {"auth_strength": "mfa"}) == set()
	}
}

test_a_missing_or_unknown_sensitivity_counts_as_high if {
	demanded("read", {}, {"auth_strength": "password"}) == demand
	every sensitivity in [null, false, 0, "", "LOW", "secret", ["low"], {"low": true}] {
		demanded("read", {"sensitivity": sensitivity}, {"auth_strength": "password"}) == demand
	}
}

test_only_the_word_mfa_says_that_there_was_a_second_factor if {
	demanded("delete", {"sensitivity": "low"}, {}) == demand
	every strength in [null, true, 2, "", "MFA", "password", ["mfa"], {"mfa": true}] {
		demanded("delete", {"sensitivity": "low"}, {"auth_strength": strength}) == demand
	}
}

test_without_resource_and_environment_it_is_demanded if {
	stepup.obligations == demand with input as {"action": "read"}
}
