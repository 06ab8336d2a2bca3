package AI::MXNet::RecordIO;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::IRHeader;
use Scalar::Util qw(blessed);
use Mouse;

# Files of records: each begins with a magic number and a word of its length, and ends at a multiple of four bytes. Where the magic
# number itself stands at such a place inside a record, the record is cut there, and the number left out.

my $MAGIC = 0xced7230a;
my $MAGIC_BYTES = CORE::pack 'V', $MAGIC;

# What the upper three bits of the length say of a part.
my ($WHOLE, $FIRST, $MIDDLE, $LAST) = 0 .. 3;
my $MOST = (1 << 29) - 1;

has [qw(uri flag)] => (is => 'ro', isa => 'Str', required => 1);
has [qw(handle is_open writable)] => (is => 'rw', init_arg => undef);

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my @names = $class->_positional;
    my %named = map { ($_ => 1) } @names;
    return $class->$orig(@args) if @args and $named{ $args[0] } and @args == 2 * @names;
    return $class->$orig(map { ($names[$_] => $args[$_]) } 0 .. $#names);
};

sub _positional { return qw(uri flag) }

sub BUILD
{
    my $self = shift;
    $self->open;
    return;
}

sub _fail { return AI::MXNet::Keshi::fail("RecordIO: $_[0]") }

sub open    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    my $mode = { r => '<', w => '>' }->{ $self->flag } // _fail('Invalid flag ' . $self->flag . ', want r or w');
    CORE::open my $handle, "$mode:raw", $self->uri or _fail('cannot open ' . $self->uri . ": $!");
    $self->handle($handle);
    $self->writable($self->flag eq 'w' ? 1 : 0);
    $self->is_open(1);
    return;
}

sub close    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    return if not $self->is_open;
    $self->is_open(0);
    CORE::close $self->handle or _fail('cannot write ' . $self->uri . ": $!");
    return;
}

# After a fork the file belongs to the parent.
has _process => (is => 'ro', init_arg => undef, default => sub { $$ });

sub DEMOLISH
{
    my $self = shift;
    $self->close if $self->_process == $$;
    return;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->close;
    $self->open;
    return;
}

sub _for
{
    my ($self, $writing) = @_;
    return if $self->is_open and not($self->writable xor $writing);
    return _fail('AssertionError: '
            . $self->uri . ' is '
            . (!$self->is_open ? 'closed' : $writing ? 'open for reading' : 'open for writing'));
}

sub write    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, $bytes) = @_;
    $self->_for(1);
    _fail('a record of ' . length($bytes) . " bytes, want at most $MOST") if length $bytes > $MOST;
    _fail('a record must be bytes') if utf8::is_utf8($bytes) and not utf8::downgrade($bytes, 1);
    my (@parts, $begin);
    my $at = $begin = 0;
    while (($at = index $bytes, $MAGIC_BYTES, $at) >= 0) {
        $at++, next if $at % 4;
        push @parts, substr $bytes, $begin, $at - $begin;
        $begin = $at += 4;
    }
    push @parts, substr $bytes, $begin;
    for my $i (0 .. $#parts) {
        my $kind = @parts == 1 ? $WHOLE : $i == 0 ? $FIRST : $i == $#parts ? $LAST : $MIDDLE;
        my $length = length $parts[$i];
        print { $self->handle } CORE::pack('VV', $MAGIC, $kind << 29 | $length), $parts[$i], "\0" x (-$length % 4)
            or _fail('cannot write ' . $self->uri . ": $!");
    }
    return;
}

# The bytes of the next record, undef at the end.
sub read    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->_for(0);
    my ($handle, $record) = $self->handle;
    while (1) {
        my $got = CORE::read $handle, my $head, 8;
        return if not $got and not defined $record;
        my ($magic, $word) = CORE::unpack 'VV', $head;
        _fail($self->uri . ' is cut short, or is no file of records') if $got != 8 or $magic != $MAGIC;
        my ($kind, $length) = ($word >> 29, $word & $MOST);
        my $padded = $length + -$length % 4;
        $got = $padded ? CORE::read $handle, my $part, $padded : 0;
        _fail($self->uri . ' is cut short') if $got != $padded;
        $part = $padded ? substr $part, 0, $length : '';
        return $part if $kind == $WHOLE and not defined $record;
        _fail($self->uri . ' has a part of a record out of place')
            if $kind == $WHOLE
            or ($kind == $FIRST) == defined $record;
        $record = $kind == $FIRST ? $part : $record . $MAGIC_BYTES . $part;
        return $record if $kind == $LAST;
    }
    return;
}

# -- records with a header

sub _header
{
    my $header = shift;
    return $header if blessed $header and $header->isa('AI::MXNet::IRHeader');
    return AI::MXNet::IRHeader->new(@$header);
}

sub pack    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($class, $given, $bytes) = @_;
    my $header = _header($given);
    my $label = $header->label;
    my @labels =
          ref $label eq 'ARRAY' ? @$label
        : blessed $label && $label->can('aspdl') ? $label->aspdl->list
        : blessed $label && $label->isa('PDL') && $label->ndims ? $label->list
        : ();
    $header->flag(scalar @labels);
    $header->label(0) if ref $label;
    $header->label("$label" + 0) if blessed $label and $label->isa('PDL') and not @labels and $label->ndims == 0;
    return
          CORE::pack('Vf<Q<Q<', $header->flag, $header->label, $header->id, $header->id2)
        . CORE::pack('f<*', @labels)
        . $bytes;
}

sub unpack    ## no critic (ProhibitBuiltinHomonyms)
{
    my ($class, $bytes) = @_;
    _fail('a record of ' . length($bytes) . ' bytes, want a header of 24') if length $bytes < 24;
    my ($flag, $label, $id, $id2) = CORE::unpack 'Vf<Q<Q<', $bytes;
    my $at = 24 + 4 * $flag;
    _fail("a record of @{[length $bytes]} bytes cannot hold $flag labels") if length $bytes < $at;
    $label = PDL->pdl(PDL::float(), [CORE::unpack 'f<*', substr $bytes, 24, 4 * $flag]) if $flag;
    return (AI::MXNet::IRHeader->new($flag, $label, $id, $id2), substr $bytes, $at);
}

# -- records with a picture

# A picture (height, width, channel) of uint8, with a header: pack_img($header, $picture, quality => 95, img_fmt => '.jpg').
sub pack_img
{
    my ($class, $header, $picture, @options) = @_;
    @options = (quality => $options[0], @options > 1 ? (img_fmt => $options[1]) : ())
        if @options and ($options[0] // '') !~ /^(?:quality|img_fmt)$/;
    return $class->pack($header, AI::MXNet::Image->imencode($picture, img_fmt => '.jpg', @options));
}

# Its header and picture; $flag is 0 for a grey picture, 1 for a coloured one, -1 for what it is.
sub unpack_img
{
    my ($class, $bytes, @flag) = @_;
    shift @flag if @flag == 2 and $flag[0] eq 'iscolor';
    my ($header, $file) = $class->unpack($bytes);
    my $flag = $flag[0] // -1;
    $flag = _is_grey($file) ? 0 : 1 if $flag < 0;
    return ($header, AI::MXNet::Image->imdecode($file, flag => $flag));
}

# Whether a file says that its pixels have one channel: the colour type of PNG, the components of JPEG's frame.
sub _is_grey
{
    my $file = shift;
    return length $file > 25 && !(ord(substr $file, 25, 1) & 2) if $file =~ /^\x89PNG/;
    for (my $at = 2; $at + 10 < length $file;) {
        my ($marker, $size) = CORE::unpack 'nn', substr $file, $at, 4;
        return ord(substr $file, $at + 9, 1) == 1
            if ($marker & 0xfff0) == 0xffc0
            and not grep { $marker == $_ } 0xffc4, 0xffc8, 0xffcc;
        last if $marker < 0xff00;
        $at += 2 + $size;
    }
    return 0;
}

sub MXRecordIO { my ($class, @args) = @_; return __PACKAGE__->new(@args) }
sub MXIndexedRecordIO { my ($class, @args) = @_; return AI::MXNet::IndexedRecordIO->new(@args) }
sub IRHeader { my ($class, @args) = @_; return AI::MXNet::IRHeader->new(@args) }

package AI::MXNet::IndexedRecordIO;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::RecordIO';

# A second file says where each record begins, in lines of key and place.

has idx_path => (is => 'ro', isa => 'Str', required => 1);
has [qw(keys idx fidx)] => (is => 'rw', init_arg => undef);
sub _positional { return qw(idx_path uri flag) }

sub open                               ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->SUPER::open;
    $self->keys([]);
    $self->idx({});
    CORE::open my $index, $self->writable ? '>' : '<', $self->idx_path
        or AI::MXNet::RecordIO::_fail('cannot open ' . $self->idx_path . ": $!");
    if ($self->writable) {
        $self->fidx($index);
        return;
    }
    while (my $line = <$index>) {
        my ($key, $place) = $line =~ /^(\S+)\s+(\d+)/
            or AI::MXNet::RecordIO::_fail($self->idx_path . " line $.: want a key and a place");
        push @{ $self->keys }, $key;
        $self->idx->{$key} = $place;
    }
    CORE::close $index;
    return;
}

sub close    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    return if not $self->is_open;
    CORE::close $self->fidx
        or AI::MXNet::RecordIO::_fail('cannot write ' . $self->idx_path . ": $!")
        if $self->writable;
    $self->SUPER::close;
    return;
}

sub seek     ## no critic (ProhibitBuiltinHomonyms)
{
    my ($self, $key) = @_;
    $self->_for(0);
    my $place = $self->idx->{$key} // AI::MXNet::RecordIO::_fail("there is no key $key in " . $self->idx_path);
    CORE::seek $self->handle, $place, 0;
    return;
}

sub tell     ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->_for(1);
    return CORE::tell $self->handle;
}

sub read_idx
{
    my ($self, $key) = @_;
    $self->seek($key);
    return $self->read;
}

sub write_idx
{
    my ($self, $key, $bytes) = @_;
    my $place = $self->tell;
    $self->write($bytes);
    print { $self->fidx } "$key\t$place\n";
    push @{ $self->keys }, $key;
    $self->idx->{$key} = $place;
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::RecordIO - files of records

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use File::Temp qw(tempdir);
    my $dir = tempdir(CLEANUP => 1);
    my $writer = mx->recordio->MXIndexedRecordIO("$dir/a.idx", "$dir/a.rec", 'w');
    $writer->write_idx($_, mx->recordio->pack([0, $_ / 2, $_, 0], "record $_")) for 0 .. 4;
    $writer->close;

    my $reader = mx->recordio->MXIndexedRecordIO("$dir/a.idx", "$dir/a.rec", 'r');
    my ($header, $bytes) = mx->recordio->unpack($reader->read_idx(3));
    print $header->label, " $bytes\n";               # 1.5 record 3

=head1 DESCRIPTION

=over 4

=item MXRecordIO($file, 'r' or 'w')

C<read> returns the next record, undef at the end; C<write($bytes)> appends one; C<reset> begins anew, C<close> ends, as does the end of
the object. C<is_open> and C<writable> tell.

=item MXIndexedRecordIO($index_file, $file, 'r' or 'w')

An C<AI::MXNet::IndexedRecordIO>: besides, C<write_idx($key, $bytes)>, C<read_idx($key)>, C<seek($key)> when reading, C<tell> when
writing, C<keys> in the order of the file and C<idx>, a hash of places.

=item pack($header, $bytes), unpack($bytes)

A record with a label and numbers in front: see L<AI::MXNet::IRHeader>. C<unpack> returns the header and the rest.

=item pack_img($header, $picture, quality => 95, img_fmt => '.jpg'), unpack_img($bytes, $flag = -1)

The same with a picture, an array of uint8 (height, width, channel) as L<AI::MXNet::Image> gives it, in a JPEG or PNG file. C<quality>
is 1 to 100 for C<.jpg>, and for C<.png> 0 (fast) to 9 (small), by default 3. C<unpack_img> returns the header and the picture: grey with
C<$flag> 0, coloured with 1, what it is with -1.

=back

=cut
