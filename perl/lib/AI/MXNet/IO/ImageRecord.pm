package AI::MXNet::IO::ImageRecord;
use 5.014;
use strict;
use warnings;
use List::Util ();
use Mouse;
use AI::MXNet::MXDataIter;
extends 'AI::MXNet::MXDataIter';

# Pictures from a file of records, cropped, perhaps mirrored, and scaled: (pixel - mean) / std * scale.

has [qw(_record _places _order _data_shape _label_shape _labels _mean _std _passes)] => (is => 'rw', init_arg => undef);

my %dtype = (ImageRecordIter => 'float32', ImageRecordUInt8Iter => 'uint8', ImageRecordInt8Iter => 'int8');
sub _dtype { return $dtype{ $_[0]->_kind } // 'float32' }
sub _rows { return scalar @{ $_[0]->_order } }

# What fills a batch counts as padding only where it is pictures.
sub _pad_of { my ($self, $missing) = @_; return $self->_round ? $missing : 0 }

sub _number { my ($self, $name, $default) = @_; return 0 + ($self->_options->{$name} // $default) }
sub _flag { my ($self, $name) = @_; return AI::MXNet::IO::Files::truth($self->_options->{$name}) }

sub _open
{
    my ($self, $options) = @_;
    my $file = $options->{path_imgrec} // $self->_fail('path_imgrec is missing');
    $self->_data_shape($self->_shape('data_shape'));
    $self->_fail('data_shape got ' . join('x', @{ $self->_data_shape }) . ', want 1 or 3 channels, height and width')
        if @{ $self->_data_shape } != 3
        or $self->_data_shape->[0] !~ /^[13]\z/;
    $self->_label_shape([$self->_number(label_width => 1)]);
    $self->_record(AI::MXNet::RecordIO->new($file, 'r'));
    $self->_places($self->_find($options->{path_imgidx}));
    $self->_fail("$file holds no records") if not @{ $self->_places };
    my ($first, $last) = AI::MXNet::IO::Files::part(
        scalar @{ $self->_places },
        $self->_number(num_parts => 1),
        $self->_number(part_index => 0)
    );
    $self->_order([$first .. $last]);
    $self->_labels($self->_listed($options->{path_imglist})) if length($options->{path_imglist} // '');
    $self->_passes(0);
    $self->_shuffle;
    my $colours = sub {
        return [map { $self->_number("$_[0]_$_" => $_[1]) } $self->_data_shape->[0] == 3 ? qw(r g b) : qw(r)];
    };
    $self->_mean($colours->(mean => 0));
    $self->_std($colours->(std => 1));
    $self->_mean($self->_mean_picture($options->{mean_img})) if length($options->{mean_img} // '');
    return;
}

# Where the records begin: from the index, or by going through the file.
sub _find
{
    my ($self, $index) = @_;
    if (length($index // '')) {
        my @lines = split /\n/, AI::MXNet::IO::Files::slurp($self->_kind, $index);
        return [map { (split /\s+/)[1] } @lines];
    }
    my ($handle, @places) = $self->_record->handle;
    my $size = -s $handle;
    for (my $at = 0; $at < $size;) {
        seek $handle, $at, 0;
        read $handle, my $head, 8;
        my ($magic, $word) = unpack 'VV', $head;
        $self->_fail($self->_record->uri . ' is no file of records') if length $head != 8 or $magic != 0xced7230a;
        push @places, $at if $word >> 29 < 2;
        my $length = $word & (1 << 29) - 1;
        $at += 8 + $length + -$length % 4;
    }
    return \@places;
}

# Labels by the number of a picture.
sub _listed
{
    my ($self, $file) = @_;
    my %labels;
    for my $line (split /\n/, AI::MXNet::IO::Files::slurp($self->_kind, $file)) {
        my ($id, @fields) = split /\t/, $line;
        pop @fields;
        $labels{$id} = \@fields;
    }
    return \%labels;
}

# Another order for each pass, which the seed decides.
sub _shuffle
{
    my $self = shift;
    return if not $self->_flag('shuffle');
    my $order = AI::MXNet::IO::Files::order($self->_rows, $self->_number(seed => 0) + 7919 * $self->_passes);
    $self->_order([@{ $self->_order }[@$order]]);
    $self->_passes($self->_passes + 1);
    return;
}

after reset => sub { $_[0]->_shuffle };

# Header and file of a record.
sub _read
{
    my ($self, $row) = @_;
    my $record = $self->_record;
    seek $record->handle, $self->_places->[$self->_order->[$row]], 0;
    return AI::MXNet::RecordIO->unpack($record->read);
}

# What is done to all pictures, and what to each of so many.
sub _frame
{
    my $self = shift;
    my ($channels, $height, $width) = @{ $self->_data_shape };
    return (
        channels => $channels,
        height => $height,
        width => $width,
        resize => $self->_number(resize => -1),
        interp => $self->_number(inter_method => 1),
    );
}

sub _chances
{
    my ($self, $count) = @_;
    my (@across, @down, @mirror);
    for (1 .. $count) {
        push @$_, rand for $self->_flag('rand_crop') ? (\@across, \@down) : ();
        push @mirror, $self->_flag('mirror') || $self->_flag('rand_mirror') && rand() < 0.5 ? 1 : 0;
    }
    return (across => \@across, down => \@down, mirror => \@mirror);
}

# Files as planes of colours, in one call, which decodes them side by side.
sub _planes
{
    my ($self, $files, %with) = @_;
    return AI::MXNet::NDArray->_picture_batch(
        (map { AI::MXNet::NDArray->from_bytes($_, [length], dtype => 'uint8') } @$files),
        { num_args => scalar @$files, $self->_frame, %with });
}

# The labels of a record.
sub _label_of
{
    my ($self, $header) = @_;
    my $label = $self->_labels ? $self->_labels->{ $header->id } : undef;
    $label //= ref $header->label ? [$header->label->list] : [$header->label];
    return $label;
}

# Labels of records, with what was done to their pictures, as rows for an array.
sub _label_rows
{
    my ($self, $labels) = @_;
    my $width = $self->_label_shape->[0];
    for my $label (@$labels) {
        $self->_fail('a record with ' . @$label . " labels, want $width") if @$label < $width;
    }
    return map { [@{$_}[0 .. $width - 1]] } @$labels;
}

sub _fetch
{
    my ($self, $rows) = @_;
    my (@files, @labels);
    for my $row (@$rows) {
        my ($header, $file) = $self->_read($row);
        push @files, $file;
        push @labels, $self->_label_of($header);
    }
    my %chances = $self->_chances(scalar @files);
    my $planes = $self->_scaled(\@files, %chances);
    my @rows = $self->_label_rows(\@labels, \%chances);
    if (my $missing = $self->batch_size - @$rows) {
        push @rows, map { [(0) x $self->_label_shape->[0]] } 1 .. $missing;
        $planes = AI::MXNet::NDArray->concatenate(
            [$planes, AI::MXNet::NDArray->zeros([$missing, @{ $self->_data_shape }], dtype => $planes->dtype)]);
    }
    my $labels = AI::MXNet::NDArray->array(\@rows);
    return [$planes, $self->_label_shape->[0] > 1 ? $labels : $labels->reshape([-1])];
}

# Planes as the kind of iterator gives them.
sub _scaled
{
    my ($self, $files, %with) = @_;
    return $self->_planes($files, %with, dtype => 'uint8') if $self->_dtype eq 'uint8';
    if (ref $self->_mean eq 'ARRAY') {
        my $planes = $self->_planes(
            $files, %with,
            mean => $self->_mean,
            $self->_dtype eq 'int8' ? () : (std => $self->_std, scale => $self->_number(scale => 1))
        );
        return $self->_dtype eq 'int8' ? $planes->astype('int8') : $planes;
    }
    my $planes = $self->_planes($files, %with) - $self->_mean;
    return $planes->astype('int8') if $self->_dtype eq 'int8';
    return $planes / AI::MXNet::NDArray->array($self->_std)->reshape([-1, 1, 1]) * $self->_number(scale => 1);
}

# The mean of all pictures, kept in a file.
sub _mean_picture
{
    my ($self, $file) = @_;
    if (-e $file) {
        my $loaded = AI::MXNet::NDArray->load($file);
        return ref $loaded eq 'HASH' ? $loaded->{mean_img} // (values %$loaded)[0] : $loaded->[0];
    }
    my $sum = AI::MXNet::NDArray->zeros($self->_data_shape);
    my @rows = 0 .. $self->_rows - 1;
    while (my @some = splice @rows, 0, 64) {
        my @files = map { ($self->_read($_))[1] } @some;
        $sum += $self->_planes(\@files, $self->_chances(scalar @files))->sum({ axis => 0 });
    }
    my $mean = $sum / $self->_rows;
    AI::MXNet::NDArray->save($file, { mean_img => $mean });
    return $mean;
}

sub provide_label
{
    my $self = shift;
    my $width = $self->_label_shape->[0];
    return [AI::MXNet::DataDesc->new(name => $self->label_name, shape => [$self->batch_size, $width > 1 ? $width : ()])
    ];
}

1;
