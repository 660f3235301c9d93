-- The second lock: whoever asks as we do sees the rows of the tenant that a question is about, and none where it does not say.
CREATE ROW POLICY OR REPLACE trunkline_tenant {on_cluster} ON events USING {whose} TO CURRENT_USER;
CREATE ROW POLICY OR REPLACE trunkline_tenant {on_cluster} ON calls USING {whose} TO CURRENT_USER;
CREATE ROW POLICY OR REPLACE trunkline_tenant {on_cluster} ON transcripts USING {whose} TO CURRENT_USER;
