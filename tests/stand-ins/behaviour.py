"""What Macie and GuardDuty do, as far as their clients here can tell.

Each function is one operation: it gets the account as a scenario describes it and the input by the model's names, and
answers with the wire's names. What the models do not say rests on AWS's documentation, or on what others saw.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from botocore.model import ServiceModel
from wire import Impossible, Refused

Account = dict[str, Any]
Input = dict[str, Any]


class Failed(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


NOT_OURS = "The request is rejected because the input detectorId is not owned by the current account."
# For an account and Region, says the documentation of CreateFilter in the model.
FILTERS = 100


# ------------------------------------------------------------------------------------------------------------- Macie


def macie(account: Account) -> Account:
    if account.get("macie") is None:
        # The model says 403. Others saw 401, which a scenario asks for by an error of its own.
        raise Failed(403, "AccessDeniedException", "Macie is not enabled.")
    return account["macie"]


def describe_buckets(account: Account, request: Input) -> Any:
    found = macie(account).get("buckets", [])
    for key, condition in request.get("criteria", {}).items():
        if key not in ("bucketName", "accountId") or list(condition) != ["eq"]:
            raise Impossible(f"this stand-in does not know the criterion {key} {list(condition)}")
        found = [bucket for bucket in found if bucket.get(key) in condition["eq"]]
    # `misnamed` stands for an answer that is not what was asked for.
    found = found + macie(account).get("misnamed", [])
    return page("buckets", found, request.get("maxResults", 50), request.get("nextToken"))


def list_resource_profile_detections(account: Account, request: Input) -> Any:
    detections = macie(account).get("detections", {})
    name = request["resourceArn"].rpartition(":::")[2]
    if name not in detections:
        raise Failed(404, "ResourceNotFoundException", "The specified resource wasn't found.")
    return page("detections", detections[name], request.get("maxResults", 25), request.get("nextToken"))


def create_classification_job(account: Account, request: Input) -> Any:
    jobs = macie(account).setdefault("jobs", [])
    # These two limits are in the documentation of the members, not in the model's constraints.
    if len(request["name"]) > 500 or len(request.get("description", "")) > 200:
        raise Refused("a name has at most 500 characters, and a description 200")
    if request["jobType"] == "ONE_TIME" and ("scheduleFrequency" in request or "initialRun" in request):
        raise Refused("a one-time job has no schedule")
    definition = request["s3JobDefinition"]
    if ("bucketDefinitions" in definition) == ("bucketCriteria" in definition):
        raise Refused("a job has either bucketDefinitions or bucketCriteria")
    token = request["clientToken"]
    job_id = hashlib.sha256(token.encode()).hexdigest()[:32]
    known = [job for job in jobs if job["jobId"] == job_id]
    if known and known[0]["name"] != request["name"]:
        raise Failed(409, "ConflictException", "The client token belongs to another request.")
    if not known:
        kept = ("name", "jobType")
        job = {key: request[key] for key in kept} | {"bucketDefinitions": definition.get("bucketDefinitions", [])}
        jobs.append(job | {"jobId": job_id, "jobStatus": "RUNNING", "createdAt": "2026-03-01T10:15:00Z"})
    return {"jobId": job_id, "jobArn": f"arn:aws:macie2:us-east-1:111122223333:classification-job/{job_id}"}


def describe_classification_job(account: Account, request: Input) -> Any:
    for job in macie(account).get("jobs", []):
        if job["jobId"] == request["jobId"]:
            kept = ("jobId", "name", "jobType", "jobStatus", "createdAt")
            return {key: job[key] for key in kept if key in job}
    raise Failed(404, "ResourceNotFoundException", "The request failed because the specified resource doesn't exist.")


def list_classification_jobs(account: Account, request: Input) -> Any:
    jobs = macie(account).get("jobs", [])
    criteria = request.get("filterCriteria", {})
    for term in criteria.get("includes", []):
        jobs = [job for job in jobs if meets(job, term)]
    for term in criteria.get("excludes", []):
        jobs = [job for job in jobs if not meets(job, term)]
    return page("items", jobs, request.get("maxResults", 25), request.get("nextToken"))


def meets(job: dict[str, Any], term: dict[str, Any]) -> bool:
    key = {"name": "name", "jobStatus": "jobStatus", "jobType": "jobType"}.get(term["key"])
    tests = {
        "EQ": lambda actual, wanted: actual == wanted,
        "STARTS_WITH": lambda actual, wanted: key == "name" and actual.startswith(wanted),
    }
    if key is None or term["comparator"] not in tests:
        raise Impossible(f"this stand-in does not know the condition {term}")
    return any(tests[term["comparator"]](job[key], wanted) for wanted in term["values"])


# --------------------------------------------------------------------------------------------------------- GuardDuty


def list_detectors(account: Account, request: Input) -> Any:
    detector = account.get("guardduty", {}).get("detector")
    return {"detectorIds": [detector] if detector else []}


def guardduty(account: Account, request: Input) -> Account:
    service = account.get("guardduty", {})
    if request["DetectorId"] != service.get("detector"):
        raise Failed(400, "BadRequestException", NOT_OURS)
    return service


def list_findings(account: Account, request: Input) -> Any:
    findings = guardduty(account, request).get("findings", [])
    for key, condition in request.get("FindingCriteria", {}).get("criterion", {}).items():
        if key != "updatedAt" or list(condition) != ["greaterThanOrEqual"]:
            raise Impossible(f"this stand-in does not know the criterion {key} {list(condition)}")
        since = datetime.fromtimestamp(condition["greaterThanOrEqual"] / 1000, UTC)
        findings = [finding for finding in findings if datetime.fromisoformat(finding["updatedAt"]) >= since]
    if sort := request.get("SortCriteria"):
        if sort != {"attributeName": "updatedAt", "orderBy": "ASC"}:
            raise Impossible(f"this stand-in does not know the order {sort}")
        findings = sorted(findings, key=lambda finding: finding["updatedAt"])
    ids = [finding["id"] for finding in findings]
    return page("findingIds", ids, request.get("MaxResults", 50), request.get("NextToken"))


def get_findings(account: Account, request: Input) -> Any:
    findings = guardduty(account, request).get("findings", [])
    return {"findings": [finding for finding in findings if finding["id"] in request["FindingIds"]]}


def archive_findings(account: Account, request: Input) -> Any:
    service = guardduty(account, request)
    if service.get("member"):
        # That members may not is documented; the words are ours.
        raise Failed(400, "BadRequestException", "The request is rejected because the current account is a member.")
    for finding in service.get("findings", []):
        if finding["id"] in request["FindingIds"]:
            finding.setdefault("service", {})["archived"] = True
    return {}


def update_findings_feedback(account: Account, request: Input) -> Any:
    for finding in guardduty(account, request).get("findings", []):
        if finding["id"] in request["FindingIds"]:
            finding.setdefault("service", {})["userFeedback"] = request["Feedback"]
    return {}


def list_filters(account: Account, request: Input) -> Any:
    names = guardduty(account, request).get("filters", [])
    return page("filterNames", names, request.get("MaxResults", 50), request.get("NextToken"))


def create_filter(account: Account, request: Input, model: ServiceModel) -> Any:
    filters = guardduty(account, request).setdefault("filters", [])
    if not re.fullmatch(r"[A-Za-z0-9._-]+", request["Name"]):
        raise Refused("the name has characters that it may not have")
    if not re.fullmatch(r"[\w\s.:(){}\[\]/-]*", request.get("Description", ""), re.ASCII):
        raise Refused("the description has characters that it may not have")
    criterion = request["FindingCriteria"].get("criterion", {})
    unknown = criterion.keys() - fields(model)
    if unknown or not 1 <= len(criterion) <= 50:
        raise Refused(f"there are criteria that GuardDuty does not have: {sorted(unknown)}")
    if request["Name"] in filters:
        raise Refused("a filter with the given name already exists")
    if len(filters) >= FILTERS:
        raise Failed(400, "BadRequestException", "The request is rejected because the filter limit is exceeded.")
    filters.append(request["Name"])
    return {"name": request["Name"]}


def fields(model: ServiceModel) -> set[str]:
    """The names by which findings can be filtered. The model lists them, in the documentation of CreateFilter."""
    documentation = model.shape_for("CreateFilterRequest").members["FindingCriteria"].documentation
    return set(re.findall(r"<p>([A-Za-z0-9.]+)</p>", documentation))


def create_sample_findings(account: Account, request: Input) -> Any:
    guardduty(account, request)
    return {}


def page(name: str, items: list[Any], size: int, token: str | None) -> dict[str, Any]:
    start = int(token or 0)
    end = start + size
    more = {"nextToken": str(end)} if end < len(items) else {}
    return {name: items[start:end], **more}


OPERATIONS = {
    # Macie has a GetFindings too.
    "macie2": {
        "CreateClassificationJob": create_classification_job,
        "DescribeBuckets": describe_buckets,
        "DescribeClassificationJob": describe_classification_job,
        "ListClassificationJobs": list_classification_jobs,
        "ListResourceProfileDetections": list_resource_profile_detections,
    },
    "guardduty": {
        "ArchiveFindings": archive_findings,
        "CreateFilter": create_filter,
        "CreateSampleFindings": create_sample_findings,
        "GetFindings": get_findings,
        "ListDetectors": list_detectors,
        "ListFilters": list_filters,
        "ListFindings": list_findings,
        "UpdateFindingsFeedback": update_findings_feedback,
    },
}
