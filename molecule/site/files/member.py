"""What a VO's member does with the VO's EC2 key: member.py ACTION [ARGUMENT …]; the answer is printed as JSON.

The key is where AWS_SHARED_CREDENTIALS_FILE and AWS_PROFILE say, the door where AWS_ENDPOINT_URL does.
"""

import base64
import json
import os
import sys

import boto3

ec2 = boto3.client(
    "ec2",
    region_name="RegionOne",
    endpoint_url=os.environ.get("AWS_ENDPOINT_URL", "https://cloud.example.org:8773/"),
    verify="/root/ca.pem",
)
action, arguments = sys.argv[1], sys.argv[2:]
if action == "run":
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["guest"]}])["Images"][0]["ImageId"]
    with open("/root/user-data") as file:
        data = file.read()
    asked = {"ImageId": image, "InstanceType": "osg.small", "UserData": data}
    answer = ec2.run_instances(**asked, MinCount=int(arguments[0]), MaxCount=int(arguments[0]))["Instances"]
elif action == "describe":
    found = ec2.describe_instances(InstanceIds=arguments)["Reservations"]
    answer = [instance for reservation in found for instance in reservation["Instances"]]
elif action == "console":
    output = ec2.get_console_output(InstanceId=arguments[0]).get("Output", "")
    answer = output if "\n" in output else base64.b64decode(output).decode(errors="replace")
elif action == "terminate":
    answer = ec2.terminate_instances(InstanceIds=arguments)["TerminatingInstances"]
print(json.dumps(answer, default=str))
