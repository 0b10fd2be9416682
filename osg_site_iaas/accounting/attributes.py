"""The names of a ProbeConfig's attributes: those honoured here, and those that gratia-probe-common has besides."""

from __future__ import annotations

# where site.yml has what a ProbeConfig calls so
KEYS = {
    "CollectorHost": "accounting.collector",
    "SSLHost": "accounting.collector",
    "ProbeName": "accounting.probe_name",
    "SettleMinutes": "accounting.settle_minutes",
}
OURS = frozenset((
    "ArchiveMonths", "BundleSize", "CertificateAuthorities", "CertificateFile", "Cloud", "CollectorHost",
    "CollectorService", "ConnectionTimeout", "DataFolder", "Databases", "EnableProbe", "Grid", "KeyFile",
    "MetricsFile", "ProbeName", "QuarantineUnknownVORecords", "ReadTraffic", "Reader", "ResourceType",
    "SSLCollectorService", "SSLHost", "Sender", "SendIdle", "SettleMinutes", "SiteFile", "SiteName", "StartDate",
    "SuppressGridLocalRecords", "SuppressNoDNRecords", "SuppressUnknownVORecords", "UseSSL", "VOOverride",
    "Workers",
))  # fmt: skip
# the sender gratia passes on what of them makes sense
THEIRS = frozenset((
    "CertInfoLogPattern", "CheckpointFile", "CondorCEHistoryFolder", "DataFileExpiration", "DataLengthMax",
    "DebugLevel", "GratiaCertificateFile", "GratiaExtension", "GratiaKeyFile", "Lockfile", "LogFileName",
    "LogFolder", "LogLevel", "LogRotate", "MapGroupToRole", "MapUnknownToGroup", "MaxPendingFiles",
    "MaxStagedArchives", "MeterName", "NoCertinfoBatchRecordsAreLocal", "QuarantineSize", "RegistrationService",
    "SOAPHost", "SSLRegistrationHost", "UseGratiaCertificates", "UseSoapProtocol", "UseSyslog", "UserVOMapFile",
    "WorkingFolder",
))  # fmt: skip
KNOWN = OURS | THEIRS
