//! What can be asked for.

use crate::wire_enum;

wire_enum!(
    /// Something a caller asks for. Every operation of the HTTP interface names one.
    Action {
        /// Read documents about the server itself, and whether it lives.
        ServerRead = "server.read",
        /// Ask whether an e-mail address is free.
        EmailCheck = "email.check",
        /// Sign up as an elder or guardian.
        AccountCreate = "account.create",
        /// Make an account with a privileged role, or give one to an account.
        AccountPrivilege = "account.privilege",
        /// List all accounts.
        AccountList = "account.list",
        /// Read an account.
        AccountRead = "account.read",
        /// Change an account.
        AccountUpdate = "account.update",
        /// Delete an account.
        AccountDelete = "account.delete",
        /// Sign in.
        SignIn = "session.sign_in",
        /// Sign out.
        SignOut = "session.sign_out",
        /// Ask whether a session lives.
        SessionCheck = "session.check",
        /// Have one's session remembered.
        SessionRemember = "session.remember",
        /// List an account's sessions.
        SessionList = "session.list",
        /// End one of an account's sessions.
        SessionEnd = "session.end",
        /// Change an account's password.
        PasswordChange = "password.change",
        /// Ask for the family that an account owns.
        FamilyLookUp = "family.look_up",
        /// Make a family for an account.
        FamilyCreate = "family.create",
        /// List all families.
        FamilyList = "family.list",
        /// Find a family by what one knows of the elder.
        FamilyFind = "family.find",
        /// Read a family's name.
        FamilyNameRead = "family.name",
        /// Read a family.
        FamilyRead = "family.read",
        /// Change a family.
        FamilyUpdate = "family.update",
        /// Delete a family.
        FamilyDelete = "family.delete",
        /// Ask to join a family on an account's behalf.
        MemberJoin = "member.join",
        /// List all memberships of everybody.
        MemberListAll = "member.list_all",
        /// List the memberships of an account.
        MemberListOfAccount = "member.list_of_account",
        /// List the members of a family.
        MemberListOfFamily = "member.list_of_family",
        /// Read a membership.
        MemberRead = "member.read",
        /// Change a membership.
        MemberUpdate = "member.update",
        /// Leave a family.
        MemberLeave = "member.leave",
        /// Remove somebody from a family.
        MemberKick = "member.kick",
        /// List the open requests to join that concern the caller.
        JoinRequestList = "join_request.list",
        /// Approve a request to join.
        JoinRequestApprove = "join_request.approve",
        /// Refuse or withdraw a request to join.
        JoinRequestDelete = "join_request.delete",
        /// Invite somebody into a family, see the family's invitations and take them back.
        InvitationCreate = "invitation.create",
        /// Report a reading.
        StatusReport = "status.report",
        /// Read reports.
        StatusRead = "status.read",
        /// Delete the latest report.
        StatusDelete = "status.delete",
        /// Have the mood of a day or period computed.
        MentalCreate = "mental.create",
        /// Read what the conversations are about.
        ConversationRead = "conversation.read",
        /// Talk with the robot's assistant.
        Chat = "chat",
        /// Read one's own conversations.
        ChatRead = "chat.read",
        /// Delete an account's conversations.
        ChatDelete = "chat.delete",
        /// List to whom an account may write.
        ReceivableRead = "message.receivable",
        /// Write in an account's name.
        MessageSendAs = "message.send_as",
        /// Write to an account.
        MessageSendTo = "message.send_to",
        /// Read one's own messages.
        MessageRead = "message.read",
        /// Mark a received message as read.
        MessageMarkRead = "message.mark_read",
        /// Take back a message of one's own.
        MessageWithdraw = "message.withdraw",
        /// Delete a message.
        MessageDelete = "message.delete",
        /// Make a notification.
        NotificationCreate = "notification.create",
        /// Read notifications.
        NotificationRead = "notification.read",
        /// Mark a notification as read.
        NotificationMarkRead = "notification.mark_read",
        /// Delete a notification.
        NotificationDelete = "notification.delete",
        /// List regions.
        RegionRead = "region.read",
        /// Ask whether the assistant lives.
        AssistantCheck = "assistant.check",
        /// Read the news.
        NewsRead = "news.read",
        /// Read the weather at an account's address.
        WeatherRead = "weather.read",
        /// Read the robot's switches.
        SettingsRead = "settings.read",
        /// Change the robot's switches.
        SettingsUpdate = "settings.update",
        /// Add a picture to the album.
        BackgroundAdd = "background.add",
        /// See the album.
        BackgroundRead = "background.read",
        /// Delete a picture of the album.
        BackgroundDelete = "background.delete",
        /// Upload a picture.
        ImageUpload = "image.upload",
        /// See a picture of an account.
        ImageRead = "image.read",
        /// Delete a picture of an account.
        ImageDelete = "image.delete",
        /// Follow what happens in a family.
        EventRead = "event.read",
        /// Follow what happens in all families one belongs to.
        EventReadAll = "event.read_all",
        /// Say that the robot lives, and read what it is to ask.
        RobotReport = "robot.report",
        /// Read a family's alarms and their timelines.
        AlarmRead = "alarm.read",
        /// Acknowledge, clear, put off or comment an alarm.
        AlarmHandle = "alarm.handle",
        /// Call for help.
        AlarmCall = "alarm.call",
        /// Tell what the elder answered.
        AlarmAnswer = "alarm.answer",
        /// Read a family's rules, ladders, and who can be reached.
        RuleRead = "rule.read",
        /// Change a family's rules and ladders, and hold a drill.
        RuleUpdate = "rule.update",
        /// Read how an account wants to be told.
        ContactRead = "contact.read",
        /// Change how an account wants to be told.
        ContactUpdate = "contact.update",
    }
);
