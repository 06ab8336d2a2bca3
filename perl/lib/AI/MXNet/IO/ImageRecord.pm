package AI::MXNet::IO::ImageRecord;
use 5.014;
use strict;
use warnings;
use List::Util ();
use constant PI => 4 * atan2 1, 1;
use Mouse;
use AI::MXNet::IO::Colours;
use AI::MXNet::IO::Crop;
use AI::MXNet::MXDataIter;
extends 'AI::MXNet::MXDataIter';

# Pictures from a file of records, cropped, perhaps mirrored, and scaled: (pixel - mean) / std * scale.

has [qw(_record _places _order _data_shape _label_shape _labels _mean _std _passes _next)] =>
    (is => 'rw', init_arg => undef);

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
    $self->_cut;
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

after reset => sub { $_[0]->_next(undef); $_[0]->_shuffle };

# Header and file of a record.
sub _read
{
    my ($self, $row) = @_;
    my $record = $self->_record;

    # A forked process has its own place in the file.
    if ($record->_process != $$) {
        $record = AI::MXNet::RecordIO->new($record->uri, 'r');
        $self->_record($record);
    }
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
    );
}

# What happens to each of some pictures. Labels, where they are given, go with their pictures.
sub _chances
{
    my ($self, $files, $labels) = @_;
    my $cut = $self->_cut;
    my @sizes = $cut ? $self->_sizes($files) : ();
    my (@across, @down, @mirror, @windows);
    for my $i (0 .. $#$files) {
        if ($cut) {
            my @size = AI::MXNet::IO::Crop::shortened(@{ $sizes[$i] }, $self->_number(resize => -1));
            push @windows, AI::MXNet::IO::Crop::window(@size, $cut);
        } else {
            push @$_, rand for $self->_flag('rand_crop') ? (\@across, \@down) : ();
        }
        push @mirror, $self->_flag('mirror') || $self->_flag('rand_mirror') && rand() < 0.5 ? 1 : 0;
    }
    my @turn = $self->_turns(scalar @$files);
    return (
        mirror => \@mirror,
        turn => \@turn,
        fill => $self->_number(fill_value => 255),
        $cut ? (window => \@windows) : (across => \@across, down => \@down)
    );
}

# How so many pictures are turned and sheared, four numbers for each; none where they are not. With the angle a and the shear s, what
# lies at (x, y) from the middle goes to ((cos a - s sin a) x + (sin a + s cos a) y, cos a y - sin a x). The numbers are the way back.
sub _turns
{
    my ($self, $count) = @_;
    my ($most, $angle, $shear) =
        map { $self->_number(@$_) } [max_rotate_angle => 0], [rotate => -1], [max_shear_ratio => 0];
    return if $most <= 0 and $angle <= 0 and $shear <= 0;
    return map {
        my $s = $shear * (2 * rand() - 1);
        my $degrees = $angle > 0 ? $angle : $most > 0 ? int(rand(2 * $most + 1)) - $most : 0;
        my ($sin, $cos) = (sin $degrees * PI / 180, cos $degrees * PI / 180);
        ($cos, -$sin - $s * $cos, $sin, $cos - $s * $sin)
    } 1 .. $count;
}

# Heights and widths of pictures.
sub _sizes
{
    my ($self, $files) = @_;
    my @numbers = AI::MXNet::NDArray->_picture_sizes(@{ arrays($files) })->aspdl->list;
    return map { [@numbers[2 * $_, 2 * $_ + 1]] } 0 .. $#$files;
}

# How pictures are cut where that is more than a window of the size asked for; else nothing.
sub _cut
{
    my $self = shift;
    return $self->{cut} if exists $self->{cut};
    my %cut = (
        pad => $self->_number(pad => 0),
        any => $self->_flag('rand_crop'),
        scales => $self->_range(random_scale => 1, 1)
    );
    @cut{qw(height width)} = @{ $self->_data_shape }[1, 2];
    my $sizes = $self->_range(crop_size => -1, -1);
    if ($self->_flag('random_resized_crop')) {
        my $most = $self->_number(max_aspect_ratio => 0);
        my $least = $self->_options->{min_aspect_ratio};
        @cut{qw(any areas)} = (1, $self->_range(random_area => 1, 1));
        $cut{ratios} = defined $least ? [$least, $most] : [1 - $most, 1 + $most];
        $self->_fail("aspect ratios from $cut{ratios}[0] to $cut{ratios}[1] are wanted, want more than 0, ascending")
            if $cut{ratios}[0] <= 0
            or $cut{ratios}[0] > $cut{ratios}[1];
    } elsif ($sizes->[1] > 0) {
        $cut{sizes} = [$sizes->[0] > 0 ? $sizes->[0] : $sizes->[1], $sizes->[1]];
    }
    $self->_fail("pad got $cut{pad}, want 0 or more") if $cut{pad} < 0;
    $self->_fail('min_random_scale got ' . $cut{scales}[0] . ', want more than 0') if $cut{scales}[0] <= 0;
    my $is_plain = !$cut{pad} && !$cut{areas} && !$cut{sizes} && "@{ $cut{scales} }" eq '1 1';
    return $self->{cut} = $is_plain ? undef : \%cut;
}

sub _range
{
    my ($self, $name, @default) = @_;
    my @range = map { $self->_number($_->[0] => $_->[1]) } ["min_$name", $default[0]], ["max_$name", $default[1]];
    $self->_fail("min_$name and max_$name got @range, want them ascending") if $range[0] > $range[1];
    return \@range;
}

# Files as arrays of bytes.
sub arrays
{
    return [map { AI::MXNet::NDArray->from_bytes($_, [length], dtype => 'uint8') } @{ $_[0] }];
}

# What makes files planes of colours, in one call, which decodes them side by side: arrays and parameters.
sub _call
{
    my ($self, $files, %with) = @_;
    return (arrays($files), { num_args => scalar @$files, $self->_frame, interp => $self->_interp($files), %with });
}

# How values between pixels are made; 9 is areas for smaller pictures and cubic for larger ones, as the first of a batch has it, and 10
# any way.
sub _interp
{
    my ($self, $files) = @_;
    my $method = $self->_number(inter_method => 1);
    return int rand 5 if $method == 10;
    return $method if $method != 9;
    my ($size) = $self->_sizes([$files->[0]]);
    my (undef, $height, $width) = @{ $self->_data_shape };
    return $size->[0] > $height && $size->[1] > $width ? 3 : 2;
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

# -- batches: while one is used, the next is decoded

sub _fetch
{
    my ($self, $rows) = @_;
    my $ready = $self->_next;
    $self->_next(undef);
    $ready = $self->_begin($rows) if not $ready or "@{ $ready->{rows} }" ne "@$rows";
    my $batch = $self->_end($ready);

    # What cannot be begun fails when it is asked for.
    local $@ = '';
    local $SIG{__DIE__} = 'DEFAULT';
    my ($next) = $self->_number(prefetch_buffer => 4) > 0 ? $self->_plan : ();
    $self->_next(eval { $self->_begin($next) }) if $next;
    return $batch;
}

sub _begin
{
    my ($self, $rows) = @_;
    my (@files, @labels);
    for my $row (@$rows) {
        my ($header, $file) = $self->_read($row);
        push @files, $file;
        push @labels, $self->_label_of($header);
    }
    my %with = $self->_chances(\@files, \@labels);
    my $colours = AI::MXNet::IO::Colours::drawn(scalar @files, $self->_amounts);
    my @call = $self->_call(\@files, %with, $colours ? () : $self->_norm);
    return {
        rows => $rows,
        labels => \@labels,
        sizes => $with{sizes},
        colours => $colours,
        planes => AI::MXNet::Keshi::ahead(_picture_batch => @call)
    };
}

sub _end
{
    my ($self, $begun) = @_;
    my $planes = $begun->{planes}->wait;
    $planes = $begun->{colours} ? $self->_coloured($planes, @$begun{qw(colours sizes)}) : $self->_scaled($planes);
    my @rows = $self->_label_rows(@$begun{qw(labels sizes)});
    if (my $missing = $self->batch_size - @rows) {
        push @rows, map { [(0) x $self->_label_shape->[0]] } 1 .. $missing;
        $planes = AI::MXNet::NDArray->concatenate(
            [$planes, AI::MXNet::NDArray->zeros([$missing, @{ $self->_data_shape }], dtype => $planes->dtype)]);
    }
    my $labels = AI::MXNet::NDArray->array(\@rows);
    return [$planes, $self->_label_shape->[0] > 1 ? $labels : $labels->reshape([-1])];
}

# How much colours change at most, and with what chance.
sub _amounts
{
    my $self = shift;
    my %option = (
        (map { $_ => $_ } qw(brightness contrast saturation)),
        hue => 'random_h',
        depth => 'random_s',
        lightness => 'random_l',
        light => 'pca_noise',
        gain => 'max_random_contrast',
        offset => 'max_random_illumination',
    );
    return ({ map { $_ => $self->_number($option{$_} => 0) } keys %option }, sub { 1 });
}

# Planes with other colours, as the kind of iterator gives them.
sub _coloured
{
    my ($self, $planes, $draws) = @_;
    my $type = $self->_dtype;
    $planes = AI::MXNet::IO::Colours::changed($planes, $draws);
    return $planes->round->astype('uint8') if $type eq 'uint8';
    my $column = sub { return AI::MXNet::NDArray->array($_[0])->reshape([-1, 1, 1]) };
    $planes = $planes - (ref $self->_mean eq 'ARRAY' ? $column->($self->_mean) : $self->_mean);
    return $planes->clip(-128, 127)->astype('int8') if $type eq 'int8';
    my $each = sub { return AI::MXNet::NDArray->array($_[0])->reshape([-1, 1, 1, 1]) };
    $planes = $planes * $each->($draws->{gain}) if $draws->{gain};
    $planes = $planes + $each->($draws->{offset}) if $draws->{offset};
    return $planes / $column->($self->_std) * $self->_number(scale => 1);
}

# How pixels become values, where that is the same for all of a channel.
sub _norm
{
    my $self = shift;
    return (dtype => 'uint8') if $self->_dtype eq 'uint8';
    return () if ref $self->_mean ne 'ARRAY';
    return (mean => $self->_mean) if $self->_dtype eq 'int8';
    return (mean => $self->_mean, std => $self->_std, scale => $self->_number(scale => 1));
}

# Planes as the kind of iterator gives them.
sub _scaled
{
    my ($self, $planes) = @_;
    my $picture = $self->_dtype ne 'uint8' && ref $self->_mean ne 'ARRAY' ? $self->_mean : undef;
    $planes = $planes - $picture if $picture;
    return $planes->astype('int8') if $self->_dtype eq 'int8';
    return $planes if not $picture;
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
        my ($arrays, $with) = $self->_call(\@files, $self->_chances(\@files));
        $sum += AI::MXNet::NDArray->_picture_batch(@$arrays, $with)->sum({ axis => 0 });
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
